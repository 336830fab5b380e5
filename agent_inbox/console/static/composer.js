// Where an agent writes. Reply and note are two boxes: what was typed as a note is never in the
// other one, so no switch can send it to the customer.

import { post } from "./api.js";
import { fill, h, icon, randomId, toast } from "./dom.js";
import { Tray, typedText } from "./files.js";
import { customerName } from "./inbox.js";
import { t } from "./words.js";

export class Composer {
  constructor(thread) {
    this.thread = thread;
    this.mode = "reply";
    this.sending = false;
    this.drafts = new Map();
    this.reply = this.box("reply");
    this.note = this.box("note");
    this.tray = new Tray(() => this.drawButton());
    this.tabs = h("div", { class: "modes", role: "tablist" });
    this.conflict = h("div", { class: "conflict", role: "alert", hidden: true });
    this.hint = h("small", { class: "hint" });
    this.button = h("button", { class: "primary send", onclick: () => this.send() });
    this.element = h("footer", {
      class: "composer", ondragover: (event) => this.over(event), ondragleave: () => this.element.classList.remove("dropping"),
      ondrop: (event) => this.dropped(event),
    }, this.conflict, this.tabs, this.reply, this.note, h("div", { class: "foot" }, this.tray.element, this.tray.picker, this.tray.button, this.hint, this.button));
  }

  /** Files are for replies: a note takes none, so nothing dropped there can reach the customer. */
  over(event) {
    if (this.mode === "note" || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    this.element.classList.add("dropping");
  }

  dropped(event) {
    this.element.classList.remove("dropping");
    if (this.mode === "note" || !event.dataTransfer?.files.length) return;
    event.preventDefault();
    this.tray.add(event.dataTransfer.files);
  }

  pasted(event) {
    if (event.target.dataset.mode === "note" || !event.clipboardData?.files.length) return;
    event.preventDefault();
    this.tray.add(event.clipboardData.files);
  }

  box(mode) {
    return h("textarea", {
      rows: "3", class: mode, "data-mode": mode,
      oninput: (event) => this.typed(event.target), onkeydown: (event) => this.pressed(event), onpaste: (event) => this.pasted(event),
    });
  }

  /** Remember what was typed for the conversation that is left. */
  keep() {
    const { id } = this.thread;
    if (id) this.drafts.set(id, { reply: this.reply.value, note: this.note.value, clientId: this.clientId, files: this.tray.kept });
  }

  open(id) {
    const draft = this.drafts.get(id) || { reply: "", note: "", clientId: null };
    this.reply.value = draft.reply;
    this.note.value = draft.note;
    this.clientId = draft.clientId || randomId();
    this.tray.hold(draft.files || []);
    this.noteId = randomId();
    this.mode = "reply";
    this.hideConflict();
    for (const box of [this.reply, this.note]) grow(box);
  }

  draw() {
    const { data } = this.thread;
    if (!data) return;
    const isNote = this.mode === "note";
    this.element.classList.toggle("is-note", isNote);
    fill(this.tabs, ["reply", "note"].map((mode) =>
      h("button", { role: "tab", "aria-selected": String(mode === this.mode), class: mode, onclick: () => this.focus(mode) },
        icon(mode === "note" ? "lock" : "send"), t(`write.${mode}`), h("kbd", {}, mode[0]))));
    this.reply.hidden = isNote;
    this.note.hidden = !isNote;
    this.reply.placeholder = t("write.reply_to", { name: customerName(data.customer, data.id) });
    this.note.placeholder = t("write.note_here");
    this.reply.setAttribute("aria-label", this.reply.placeholder);
    this.note.setAttribute("aria-label", this.note.placeholder);
    this.drawButton();
    fill(this.button, icon(isNote ? "lock" : "send"), h("span", {}, isNote ? t("write.save_note") : this.sendWords()), h("kbd", {}, t("write.hint")));
    fill(this.hint, !isNote && !this.thread.isMine ? t("write.claims") : "");
  }

  /** While a file is on its way there is nothing to send yet. */
  drawButton() {
    const isNote = this.mode === "note";
    this.tray.button.hidden = isNote;
    this.tray.element.hidden = isNote || this.tray.kept.length === 0;
    this.button.disabled = this.sending || (!isNote && this.tray.isBusy);
  }

  sendWords() {
    if (this.thread.isMine) return t("write.send");
    const { state } = this.thread.data;
    return t({ agent: "write.take_send", closed: "write.reopen_send" }[state] || "write.claim_send");
  }

  focus(mode) {
    this.mode = mode;
    this.draw();
    this[mode].focus();
  }

  typed(box) {
    grow(box);
    if (box.dataset.mode === "reply" && box.value.trim()) this.thread.context.live.typing();
  }

  pressed(event) {
    if (event.key === "Escape") return event.target.blur();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing) {
      event.preventDefault();
      this.send();
    }
  }

  async send() {
    if (this.sending || !this.thread.data) return;
    await (this.mode === "note" ? this.saveNote() : this.sendReply(this.thread.view()));
  }

  async sendReply(view) {
    const text = this.reply.value.trim();
    const files = this.tray.ids;
    if (this.tray.isBusy) return;
    if (!text && !files.length) return this.reply.focus();
    const { id } = this.thread;
    await this.during(async () => {
      try {
        const data = await this.put(id, "reply", { ...view, text, files, client_id: this.clientId });
        if (id !== this.thread.id) return this.drafts.delete(id);
        this.reply.value = "";
        this.tray.hold([]);
        this.clientId = randomId();
        this.hideConflict();
        grow(this.reply);
        this.thread.take(data);
        this.thread.toEnd();
        this.thread.inbox.load();
      } catch (problem) {
        if (problem.extra?.thread && id === this.thread.id) this.showConflict(problem, view);
        else toast(problem.words, "bad");
      }
    });
    this.reply.focus();
  }

  async saveNote() {
    const text = this.note.value.trim();
    if (!text) return this.note.focus();
    const { id } = this.thread;
    await this.during(async () => {
      try {
        const data = await this.put(id, "note", { text, client_id: this.noteId });
        if (id !== this.thread.id) return;
        this.note.value = "";
        this.noteId = randomId();
        grow(this.note);
        this.thread.take(data);
        this.thread.toEnd();
      } catch (problem) {
        toast(problem.words, "bad");
      }
    });
    this.note.focus();
  }

  put(id, verb, body) {
    return post(`/conversations/${encodeURIComponent(id)}/${verb}`, body);
  }

  async during(work) {
    this.sending = true;
    this.drawButton();
    try {
      await work();
    } finally {
      this.sending = false;
      this.drawButton();
    }
  }

  /** What happened since the agent looked, and the choice to send all the same. */
  showConflict(problem, view) {
    const now = problem.extra.thread;
    const fresh = now.lines.filter((line) => line.seq > view.seen_seq && line.author === "customer");
    const taken = now.state === "agent" && now.owner !== this.thread.context.me.id;
    this.thread.take(now);
    const words = taken ? t("stale.owner", { name: now.owner_name || "?" }) : fresh.length ? t("stale.view") : t("stale.moved");
    fill(this.conflict,
      h("strong", {}, words),
      fresh.length > 0 && h("ul", {}, fresh.map((line) => h("li", {}, typedText(line) || line.text))),
      h("div", { class: "actions" },
        h("button", { onclick: () => (this.hideConflict(), this.reply.focus()) }, t("stale.keep")),
        h("button", { class: "primary", onclick: () => this.sendReply(this.thread.view()) }, t(taken ? "stale.take" : "stale.send"))));
    this.conflict.hidden = false;
  }

  hideConflict() {
    this.conflict.hidden = true;
    fill(this.conflict);
  }
}

function grow(box) {
  box.style.height = "auto";
  if (box.value) box.style.height = `${Math.min(box.scrollHeight + 2, 320)}px`;
}
