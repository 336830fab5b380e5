// One document: its health report, who may read it, its versions and passages.

import { api, get, post } from "./api.js";
import { h, icon, openDialog, toast } from "./dom.js";
import { clock, inWords, number, t } from "./words.js";

const AUDIENCES = ["public", "customers", "staff"];
const PAGES_SHOWN = 20;

/** Open the dialog of a document. `changed` is called when something of it was changed. */
export async function showSource(one, { isAdmin, changed }) {
  const detail = await get(`/sources/${encodeURIComponent(one.id)}`);
  const newest = detail.revisions.find((revision) => revision.health);
  const dialog = openDialog(detail.summary.title, h("div", { class: "source" },
    h("p", { class: "lead" }, detail.summary.name),
    newest && health(newest.health),
    h("h3", {}, t("know.audience")), readers(detail.summary, isAdmin, changed),
    h("h3", {}, t("know.versions")),
    h("ul", { class: "versions" }, detail.revisions.map((revision) => version(revision, isAdmin, () => (dialog.close(), changed())))),
    h("h3", {}, t("know.passages")),
    h("ol", { class: "passages" }, detail.passages.map((passage) => passageItem(passage, detail.summary.audience))),
    h("div", { class: "actions" }, h("button", { class: "primary", onclick: () => dialog.close() }, t("do.close")))), { wide: true });
}

/** A choice of audience. With `unchanged` it may also be left as it is. */
export function audienceField(value, { unchanged = false } = {}) {
  const own = value && !AUDIENCES.includes(value) ? [value] : [];
  return h("select", {}, unchanged && h("option", { value: "" }, t("know.audience.unchanged")),
    [...AUDIENCES, ...own].map((name) => h("option", { value: name, selected: name === value }, audienceWords(name))));
}

/** An audience as people call it; one of their own keeps its name. */
export function audienceWords(name) {
  return AUDIENCES.includes(name) ? t(`know.audience.${name}`) : name;
}

export function revisionWords(one) {
  return t(`rev.${one.state}`, { done: number(one.chunks_done), total: number(one.chunks_total) });
}

function readers(summary, isAdmin, changed) {
  if (!isAdmin) return h("p", {}, audienceWords(summary.audience));
  const field = audienceField(summary.audience);
  field.setAttribute("aria-label", t("know.audience"));
  field.addEventListener("change", () => attempt(async () => {
    await api("PUT", `/sources/${encodeURIComponent(summary.id)}/audience`, { audience: field.value });
    toast(t("know.audience.changed"));
    changed();
  }));
  return h("p", {}, field);
}

function version(revision, isAdmin, done) {
  const back = () => attempt(async () => {
    await post(`/sources/${encodeURIComponent(revision.source_id)}/rollback`, { revision_id: revision.revision_id });
    toast(t("know.rolled_back"));
    done();
  });
  return h("li", {},
    h("span", { class: `chip ${revision.state}` }, revisionWords(revision)), h("time", {}, clock(revision.created_at)),
    h("small", {}, t("know.embedded", { count: revision.chunks_embedded })),
    isAdmin && revision.can_go_back && h("button", { onclick: back }, t("know.roll_back")),
    revision.reason && h("p", { class: "wrong" }, inWords(revision.reason)));
}

function passageItem(passage, audience) {
  return h("li", {},
    passage.heading_path.length > 0 && h("small", {}, passage.heading_path.join(" › ")),
    passage.audience !== audience && h("span", { class: "chip waiting" }, audienceWords(passage.audience)),
    h("p", {}, passage.text),
    passage.wordings.length > 0 && h("small", {}, t("know.wordings", { list: passage.wordings.join(" · ") })));
}

function health(found) {
  const share = (value) => `${Math.round(value * 100)} %`;
  const pairs = [["characters", number(found.characters)], ["chunks", number(found.chunks)], ["questions", number(found.questions)],
    ["duplicate", share(found.duplicate_share)], ["unknown", share(found.unknown_token_share)],
    ["language", found.language ? t(`language.${found.language}`) : "?"]];
  if (found.wordings) pairs.push(["wordings", number(found.wordings)]);
  if (found.page_characters.length) pairs.push(["pages", pageWords(found.page_characters)]);
  if (found.empty_pages.length) pairs.push(["empty", named(found.empty_pages)]);
  if (found.scanned_pages.length) pairs.push(["scanned", named(found.scanned_pages)]);
  return h("section", { class: "health" }, h("h3", {}, t("know.health")),
    h("dl", { class: "facts" }, pairs.map(([name, value]) => [h("dt", {}, t(`know.health.${name}`)), h("dd", {}, value)])),
    found.warnings.length
      ? h("ul", { class: "warnings" }, found.warnings.map((one) => h("li", {}, inWords(one))))
      : h("p", { class: "fine" }, icon("check"), t("know.health.fine")));
}

function pageWords(characters) {
  const each = Math.round(characters.reduce((sum, one) => sum + one, 0) / characters.length);
  return t("know.health.each", { count: number(characters.length), each: number(each),
    least: number(Math.min(...characters)), most: number(Math.max(...characters)) });
}

function named(pages) {
  return pages.slice(0, PAGES_SHOWN).join(", ") + (pages.length > PAGES_SHOWN ? ` … (${pages.length})` : "");
}

async function attempt(work) {
  try {
    await work();
  } catch (problem) {
    if (!problem.kind) throw problem;
    toast(problem.words, "bad");
  }
}
