// The Inbox page: the lists on the left, the open conversation beside them.

import { get } from "./api.js";
import { fill, h, toast } from "./dom.js";
import { ThreadView } from "./thread.js";
import { ago, t } from "./words.js";

const LISTS = ["queue", "mine", "all"];

export function customerName(name, conversationId) {
  return name || t("list.visitor", { id: conversationId.slice(-4) });
}

export class Inbox {
  constructor(context) {
    this.context = context;
    this.isOpen = true;
    this.which = "queue";
    this.rows = [];
    this.waiting = 0;
    this.pages = 1;
    this.list = h("ul", { class: "rows" });
    this.tabs = h("div", { class: "tabs", role: "tablist" });
    this.more = h("button", { class: "quiet more", onclick: () => this.showMore() }, t("list.more"));
    this.aside = h("section", { class: "list" }, this.tabs, h("div", { class: "scroll" }, this.list, this.more));
    this.thread = new ThreadView(context, this);
    this.element = h("main", { class: "inbox" }, this.aside, this.thread.element);
    this.tick = setInterval(() => this.drawRows(), 30_000);
  }

  close() {
    this.isOpen = false;
    clearInterval(this.tick);
    this.thread.show("");
    document.title = "Tandem";
  }

  /** Open what the address says: a list, and perhaps a conversation in it. */
  go([which = "queue", conversation = ""]) {
    const list = LISTS.includes(which) ? which : "queue";
    if (list !== this.which) {
      this.rows = [];
      this.pages = 1;
    }
    this.which = list;
    this.element.classList.toggle("reading", conversation !== "");
    this.thread.show(conversation);
    this.draw();
    this.load();
  }

  async refresh() {
    await Promise.all([this.load(), this.thread.load()]);
  }

  async load() {
    const which = this.which;
    try {
      let rows = [];
      let after = "";
      for (let page = 0; page < this.pages; page += 1) {
        const found = await get(`/cases?which=${which}${after && `&after=${encodeURIComponent(after)}`}`);
        rows = rows.concat(found.items);
        after = found.next || "";
        this.waiting = found.waiting;
        if (!after) break;
      }
      if (which !== this.which) return;
      this.rows = rows;
      this.next = after;
      this.draw();
    } catch (problem) {
      if (problem.kind !== "offline" && problem.kind !== "signed-out") toast(problem.words, "bad");
    }
  }

  showMore() {
    this.pages += 1;
    this.load();
  }

  draw() {
    document.title = this.waiting ? `(${this.waiting}) Tandem` : "Tandem";
    fill(this.tabs, LISTS.map((which) =>
      h("a", { href: `#/inbox/${which}`, role: "tab", "aria-selected": String(which === this.which) },
        t(`list.${which}`), which === "queue" && this.waiting > 0 && h("b", { class: "count" }, String(this.waiting)))));
    this.drawRows();
    this.more.hidden = !this.next;
  }

  drawRows() {
    const empty = h("li", { class: "empty" }, t(`list.empty.${this.which}`));
    fill(this.list, this.rows.length ? this.rows.map((row) => this.row(row)) : empty);
  }

  row(row) {
    const current = row.conversation_id === this.thread.id;
    return h("li", {},
      h("a", {
        href: `#/inbox/${this.which}/${row.conversation_id}`, class: `row ${row.state}${current ? " current" : ""}`,
        "aria-current": current ? "true" : null, "data-id": row.conversation_id,
      },
        h("span", { class: "top" },
          h("span", { class: "dot", title: stateWords(row, this.context.me) }),
          h("strong", {}, customerName(row.customer, row.conversation_id)),
          h("time", { datetime: row.state === "waiting" ? row.since : row.updated_at }, this.age(row))),
        h("span", { class: "said" }, row.said || "…"),
        h("span", { class: "chips" },
          row.reason && row.state !== "bot" && h("span", { class: `chip reason ${row.reason}` }, t(`signal.${row.reason}`)),
          row.state !== "waiting" && h("span", { class: `chip ${row.state}` }, stateWords(row, this.context.me)),
          h("span", { class: "chip" }, row.channel), h("span", { class: "chip" }, t(`language.${row.language}`)))));
  }

  age(row) {
    return row.state === "waiting" ? t("list.waits", { time: ago(row.since) }) : ago(row.updated_at);
  }

  typing(frame) {
    this.thread.typing(frame);
  }

  /** One key, pressed outside a text field. Whether it meant something. */
  key(key) {
    if (key === "j" || key === "ArrowDown") return this.step(1);
    if (key === "k" || key === "ArrowUp") return this.step(-1);
    return this.thread.key(key);
  }

  step(by) {
    if (!this.rows.length) return false;
    const at = this.rows.findIndex((row) => row.conversation_id === this.thread.id);
    const next = at < 0 ? 0 : Math.min(this.rows.length - 1, Math.max(0, at + by));
    location.hash = `#/inbox/${this.which}/${this.rows[next].conversation_id}`;
    this.list.querySelector(`[data-id="${this.rows[next].conversation_id}"]`)?.scrollIntoView({ block: "nearest" });
    return true;
  }
}

export function stateWords(row, me) {
  if (row.state !== "agent") return t(`state.${row.state}`);
  return row.owner === me.id ? t("state.you") : t("state.agent", { name: row.owner_name || "?" });
}
