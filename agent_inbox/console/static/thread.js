// The open conversation: its lines, who has it, and what can be done with it.

import { get, post } from "./api.js";
import { Card } from "./card.js";
import { Composer } from "./composer.js";
import { fill, h, icon, openDialog, toast } from "./dom.js";
import { field, form } from "./access.js";
import { customerName, stateWords } from "./inbox.js";
import { lineElement } from "./lines.js";
import { t } from "./words.js";

const TYPING_MS = 5000;
const OUTCOMES = ["solved", "unsolved", "no_reply", "spam"];

export class ThreadView {
  constructor(context, inbox) {
    this.context = context;
    this.inbox = inbox;
    this.id = "";
    this.data = null;
    this.lines = new Map();
    this.head = h("header", { class: "thread-head" });
    this.body = h("div", { class: "lines", role: "log" });
    this.scroll = h("div", { class: "scroll thread-scroll", tabindex: "-1", onscroll: () => this.scrolled() }, this.body);
    this.newLines = h("button", { class: "new-lines", hidden: true, onclick: () => this.toEnd() }, t("thread.new"));
    this.typingLine = h("p", { class: "typing", "aria-live": "polite" });
    this.composer = new Composer(this);
    this.card = new Card(this);
    this.none = h("div", { class: "none" }, h("p", {}, t("thread.none")), h("small", {}, t("thread.none_hint")));
    this.main = h("section", { class: "thread" }, this.head, this.scroll, this.newLines, this.typingLine, this.composer.element);
    this.element = h("div", { class: "reader" }, this.none);
    this.pinned = true;
    // A taller box below, or a narrower window, must not push the newest line out of sight.
    new ResizeObserver(() => {
      this.height = this.scroll.clientHeight;
      if (this.pinned) this.toEnd();
    }).observe(this.scroll);
  }

  /** Open another conversation; "" for none. */
  show(id) {
    if (id === this.id) return;
    this.composer.keep();
    this.id = id;
    this.data = null;
    this.lines.clear();
    this.complete = false;
    fill(this.body);
    fill(this.typingLine);
    this.element.classList.remove("with-card");
    this.context.live.watch(id);
    if (!id) return fill(this.element, this.none);
    fill(this.element, this.main, this.card.element);
    fill(this.head);
    this.composer.open(id);
    this.load();
  }

  async load() {
    const id = this.id;
    if (!id) return;
    try {
      const data = await get(`/conversations/${encodeURIComponent(id)}`);
      if (id === this.id) this.take(data);
    } catch (problem) {
      if (id !== this.id || problem.kind === "offline" || problem.kind === "signed-out") return;
      fill(this.element, h("div", { class: "none" }, h("p", {}, problem.words)));
    }
  }

  /** The conversation as the server says it is now. An older answer that comes late is dropped. */
  take(data) {
    if (data.id !== this.id) return this.goTo(data.id);
    const anew = this.data !== null && data.numbering !== this.data.numbering;
    if (anew) this.begin();
    if (this.data && (data.epoch < this.data.epoch || data.newest_seq < this.data.newest_seq)) return;
    const first = this.data === null;
    const atEnd = first || this.isAtEnd();
    const grew = !first && data.newest_seq > this.data.newest_seq;
    this.data = data;
    for (const line of data.lines) this.put(line);
    if (data.lines.length === 0 || data.first_seq <= 1) this.complete = true;
    this.drawHead();
    this.drawLines();
    this.composer.draw();
    this.card.draw();
    if (atEnd) this.toEnd();
    else if (grew) this.newLines.hidden = false;
    if (grew) fill(this.typingLine);
  }

  /** Accounts were joined or parted: every line may have another number. */
  begin() {
    this.data = null;
    this.lines.clear();
    this.complete = false;
  }

  /** The person's talk goes on in another conversation; what was typed goes along. */
  goTo(id) {
    this.composer.keep();
    this.composer.drafts.set(id, this.composer.drafts.get(this.id));
    location.hash = `#/inbox/${this.inbox.which}/${id}`;
  }

  put(line) {
    const known = this.lines.get(line.seq);
    const resend = this.data.state !== "agent" || this.isMine || this.context.me.role === "admin" ? (one, button) => this.resend(one, button) : null;
    const print = JSON.stringify([line, resend !== null]);
    if (known?.print === print) return;
    const element = lineElement(line, this.context.me, resend);
    this.lines.set(line.seq, { print, element, line });
  }

  drawLines() {
    const ordered = [...this.lines.entries()].sort(([a], [b]) => a - b).map(([, held]) => held.element);
    const earlier = !this.complete && h("button", { class: "quiet earlier", onclick: () => this.earlier() }, t("thread.earlier"));
    const wanted = [earlier, ...ordered].filter(Boolean);
    // Only what changed is touched, so that a selection or an open list of sources stays.
    if (wanted.length !== this.body.children.length || wanted.some((one, at) => one !== this.body.children[at])) {
      fill(this.body, wanted);
    }
  }

  async earlier() {
    const before = Math.min(...this.lines.keys());
    const height = this.scroll.scrollHeight;
    const found = await get(`/conversations/${encodeURIComponent(this.id)}/lines?before=${before}`);
    for (const line of found) this.put(line);
    this.complete = found.length === 0 || found[0].seq <= 1;
    this.drawLines();
    this.scroll.scrollTop += this.scroll.scrollHeight - height;
  }

  isAtEnd() {
    return this.scroll.scrollHeight - this.scroll.scrollTop - this.scroll.clientHeight < 80;
  }

  toEnd() {
    this.pinned = true;
    this.scroll.scrollTop = this.scroll.scrollHeight;
    this.newLines.hidden = true;
  }

  scrolled() {
    if (this.scroll.clientHeight !== this.height) return; // not the reader moved, the box did
    this.pinned = this.isAtEnd();
    if (this.pinned) this.newLines.hidden = true;
  }

  toLine(seq) {
    const element = this.lines.get(seq)?.element;
    if (!element) return;
    element.scrollIntoView({ block: "center" });
    element.classList.add("flash");
    setTimeout(() => element.classList.remove("flash"), 1600);
  }

  // Who has it, and the verbs

  get isMine() {
    return this.data?.state === "agent" && this.data.owner === this.context.me.id;
  }

  get mayEnd() {
    const { state } = this.data;
    return state === "bot" || state === "waiting" || this.isMine || (state === "agent" && this.context.me.role === "admin");
  }

  get mayJoin() {
    return this.data.state !== "agent" || this.isMine || this.context.me.role === "admin";
  }

  drawHead() {
    const { data } = this;
    const verb = (name, picture, run, primary) =>
      h("button", { class: primary ? "primary" : "", onclick: run, "data-verb": name, "aria-label": t(`do.${name}`), title: t(`do.${name}`) }, icon(picture), h("span", {}, t(`do.${name}`)));
    fill(this.head,
      h("a", { class: "back quiet", href: `#/inbox/${this.inbox.which}`, "aria-label": t("thread.back") }, icon("back")),
      h("div", { class: "who" },
        h("h1", {}, customerName(data.customer, data.id)),
        h("p", {}, h("span", { class: `chip ${data.state}` }, stateWords(data, this.context.me)),
          data.case && h("span", { class: "chip" }, t("card.case", { number: data.case.number })),
          data.place && h("span", { class: "chip wide-only" }, t("card.place", { place: data.place })))),
      h("div", { class: "verbs" },
        !this.isMine && data.state !== "closed" && verb(data.state === "agent" ? "take_over" : "claim", "user", () => this.claim(), data.state !== "agent"),
        this.isMine && verb("release", "inbox", () => this.act("release", { epoch: data.epoch })),
        (this.isMine || (data.state !== "bot" && data.state !== "closed" && this.mayEnd)) && verb("hand_back", "bot", () => this.handBack()),
        data.state !== "closed" && this.mayEnd && verb("resolve", "check", () => this.resolve(), this.isMine),
        h("button", { class: "quiet card-toggle", "aria-label": t("thread.card"), title: t("thread.card"), onclick: () => this.toggleCard() }, icon("card"))));
  }

  toggleCard() {
    this.element.classList.toggle("with-card");
  }

  async resend(line, button) {
    button.disabled = true;
    await this.act(`messages/${encodeURIComponent(line.id)}/resend`, {});
    button.disabled = false;
  }

  claim() {
    return this.act("claim", { epoch: this.data.epoch });
  }

  /** Do a verb; a refusal because things moved shows how they stand now. */
  async act(verb, body) {
    const id = this.id;
    try {
      const data = await post(`/conversations/${encodeURIComponent(id)}/${verb}`, body);
      if (id === this.id) this.take(data);
      this.inbox.load();
      return true;
    } catch (problem) {
      this.refused(problem, id);
      return false;
    }
  }

  refused(problem, id) {
    const now = problem.extra?.thread;
    if (now && id === this.id) this.take(now);
    if (problem.kind === "stale-owner" && now?.owner_name) toast(t("stale.owner", { name: now.owner_name }), "bad");
    else if (problem.kind === "stale-owner" || problem.kind === "stale-view") toast(t("stale.reload"), "bad");
    else toast(problem.words, "bad");
  }

  view() {
    return { epoch: this.data.epoch, seen_seq: this.data.newest_seq };
  }

  handBack() {
    const view = this.view();
    this.dialog("back.title", [
      field(t("back.agreed"), h("textarea", { name: "agreed", rows: "3", maxlength: "1000" }), t("back.hint")),
    ], "do.hand_back", ({ agreed }) => this.act("hand-back", { ...view, agreed }));
  }

  resolve() {
    const view = this.view();
    this.dialog("end.title", [
      h("fieldset", { class: "choices" }, h("legend", {}, t("end.outcome")), OUTCOMES.map((outcome, at) =>
        h("label", {}, h("input", { type: "radio", name: "outcome", value: outcome, checked: at === 0 }), h("span", {}, t(`outcome.${outcome}`))))),
      field(t("end.topic"), h("input", { name: "topic", maxlength: "200", placeholder: t("end.topic_hint") })),
    ], "do.resolve", ({ outcome, topic }) => this.act("resolve", { ...view, outcome, topic }));
  }

  dialog(title, children, verb, run) {
    const dialog = openDialog(t(title), form([children, h("div", { class: "actions" },
      h("button", { type: "button", onclick: () => dialog.close() }, t("do.cancel")),
      h("button", { class: "primary" }, t(verb)))], async (values) => {
      await run(values);
      dialog.close();
    }));
    dialog.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) dialog.querySelector("form").requestSubmit();
    });
  }

  typing(frame) {
    if (!this.data || frame.agent_id === this.context.me.id) return;
    fill(this.typingLine, frame.author === "customer" ? t("thread.customer_typing") : t("thread.typing", { name: frame.agent || t("line.bot") }));
    clearTimeout(this.quiet);
    this.quiet = setTimeout(() => fill(this.typingLine), TYPING_MS);
  }

  key(key) {
    if (!this.data) return false;
    const verbs = { c: () => !this.isMine && this.claim(), b: () => this.click("hand_back"), e: () => this.click("resolve"),
      r: () => this.composer.focus("reply"), n: () => this.composer.focus("note") };
    if (!verbs[key]) return false;
    verbs[key]();
    return true;
  }

  click(verb) {
    this.head.querySelector(`[data-verb=${verb}]`)?.click();
  }
}
