// Who is who: a person's accounts on the card, what joined them, and joining or undoing it.

import { get } from "./api.js";
import { field, form } from "./access.js";
import { fill, h, openDialog } from "./dom.js";
import { ago, t } from "./words.js";

const WAIT_MS = 250; // after the last key, before a search

/** The accounts of the person, with the verbs of whoever may use them. */
export function accountsPart(thread) {
  const { accounts } = thread.data;
  return [
    h("ul", { class: "accounts" }, accounts.map((one) => account(thread, one))),
    thread.mayJoin && h("button", { class: "quiet join", onclick: () => joinDialog(thread) }, t("people.join")),
  ];
}

function account(thread, one) {
  const by = one.by ? t("people.by", { name: one.by }) : "";
  return h("li", {},
    h("b", {}, channelName(one.channel)), one.name && h("span", {}, one.name),
    h("small", {}, [t(`proof.${one.proof}`), by, ago(one.since)].filter(Boolean).join(" · ")),
    one.reason && h("q", {}, one.reason),
    one.link_id && thread.mayJoin && h("button", { class: "quiet", onclick: () => partDialog(thread, one) }, t("people.undo")));
}

export function channelName(name) {
  const key = `channel.${name}`;
  const known = t(key);
  return known === key ? name : known;
}

function reasonField() {
  return field(t("people.reason"), h("input", { name: "reason", required: true, maxlength: "500", autocomplete: "off" }), t("people.reason_hint"));
}

function partDialog(thread, one) {
  const { epoch } = thread.data;
  thread.dialog("people.undo_title", [
    h("p", {}, t("people.undo_what", { channel: channelName(one.channel), name: one.name || "–" })), reasonField(),
  ], "people.undo", ({ reason }) => thread.act("part", { epoch, link: one.link_id, reason }));
}

/** Find the other person, choose, say why, and confirm: nothing is joined by a name alone. */
function joinDialog(thread) {
  const { epoch } = thread.data;
  const chosen = { person: null };
  const results = h("ul", { class: "found", role: "listbox", "aria-label": t("people.found") });
  const box = h("input", { type: "search", autocomplete: "off", maxlength: "200", oninput: () => later() });
  let timer = null;
  let asked = 0;
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(() => search(box.value.trim()), WAIT_MS);
  };
  async function search(words, after = "") {
    const mine = ++asked;
    const page = words ? await get(`/people?q=${encodeURIComponent(words)}&after=${encodeURIComponent(after)}`) : { items: [], next: null };
    if (mine !== asked) return;
    const rows = page.items.map((one) => person(one, chosen, results));
    const more = page.next && h("li", {}, h("button", { type: "button", class: "quiet", onclick: (event) => (event.target.closest("li").remove(), search(words, page.next)) }, t("people.more")));
    if (after) results.append(...rows, ...(more ? [more] : []));
    else fill(results, rows, more, words && !rows.length && h("li", { class: "nothing" }, t("people.nobody")));
  }
  const dialog = openDialog(t("people.join_title"), form([
    h("p", { class: "lead" }, t("people.join_what")),
    field(t("people.who"), box, t("people.who_hint")), results, reasonField(),
    h("label", { class: "sure" }, h("input", { type: "checkbox", required: true }), h("span", {}, t("people.sure"))),
    h("div", { class: "actions" },
      h("button", { type: "button", onclick: () => dialog.close() }, t("do.cancel")),
      h("button", { class: "primary" }, t("people.join_do"))),
  ], async ({ reason }) => {
    if (!chosen.person) return box.focus();
    if (await thread.act("join", { epoch, person: chosen.person, reason })) dialog.close();
  }));
  box.focus();
}

function person(one, chosen, results) {
  const button = h("button", { type: "button", role: "option", "aria-selected": "false", onclick: () => {
    chosen.person = one.id;
    for (const other of results.querySelectorAll("[role=option]")) other.setAttribute("aria-selected", String(other === button));
  } },
  h("b", {}, one.name || t("people.unnamed", { id: one.id.slice(-4) })),
  h("small", {}, [one.channels.map(channelName).join(", "), ago(one.since)].join(" · ")));
  return h("li", {}, button);
}
