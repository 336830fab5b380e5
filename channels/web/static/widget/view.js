// The log of the conversation: items in `seq` order, then what still waits to be sent.

const NEAR_END = 80; // pixels from the end of the log that still count as being there
const TYPING_S = 20;

class View {
  constructor(words, press, again, files) {
    Object.assign(this, { words, press, again, files });
    this.shown = new Map(); // seq → its element
    this.queue = []; // not taken in yet
    this.taken = new Map(); // seq → a message that was taken in and has not come back
    this.back = new Set(); // ids of the queue that came back before we heard they were taken in
    this.welcome = el("div", { className: "row bot" }, this.bubble([el("p", {}, words.welcome)]));
    this.items = el("div", { className: "items" });
    this.draft = el("div", { className: "row bot", hidden: true });
    this.dots = el(
      "div",
      { className: "row bot", hidden: true },
      el("div", { className: "dots" }, el("i"), el("i"), el("i"), (this.dotsText = el("span"))),
    );
    this.pending = el("div", { className: "items", "aria-live": "off" });
    this.log = el(
      "div",
      { className: "log", role: "log", "aria-live": "polite", "aria-label": words.log, tabindex: "0" },
      this.welcome,
      this.items,
      this.draft,
      this.dots,
      this.pending,
    );
  }

  bubble(children, more = {}) {
    return el("div", { className: "bubble", dir: "auto", ...more }, ...children);
  }

  clear() {
    this.items.replaceChildren();
    this.shown.clear();
    this.taken.clear();
    this.quiet();
  }

  add(item) {
    const stay = this.atEnd();
    if (item.author !== "customer") this.quiet();
    this.dropChoices();
    const row = this.row(item);
    this.shown.set(item.seq, row);
    this.items.append(row);
    if (item.author === "customer") this.cameBack(item);
    if (stay) this.toEnd();
  }

  update(item) {
    const old = this.shown.get(item.seq);
    if (!old) return;
    const row = this.row(item);
    if (!old.querySelector(".choices")) row.querySelector(".choices")?.remove();
    old.replaceWith(row);
    this.shown.set(item.seq, row);
  }

  // Seqs of items on screen that the customer did not write, for the unread badge.
  others() {
    return [...this.shown].filter(([, row]) => !row.classList.contains("customer")).map(([n]) => n);
  }

  row(item) {
    const { words } = this;
    const time = new Date(item.created_at);
    const clock = time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    const who = item.author === "agent" ? item.agent || words.someone : words.bot;
    const name = item.author === "bot" || item.author === "agent" ? who : null;
    const row = el("div", { className: "row " + item.author });
    if (item.withdrawn) {
      row.append(this.bubble([el("em", {}, words.withdrawn)]));
      return row;
    }
    const sources = new Map((item.citations || []).map((one) => [one.n, this.source(one)]));
    const own = item.author === "customer";
    const body = own ? item.text : markup(item.text, (n) => this.reference(n, sources));
    const about = [name, clock, item.edited_at ? words.edited : null].filter(Boolean).join(" · ");
    row.append(this.bubble([el("div", { className: "text" }, body), this.box(item), ...sources.values()]));
    row.append(el("time", { datetime: item.created_at, title: time.toLocaleString() }, about));
    if (item.buttons?.length) row.append(this.choices(item.buttons));
    return row;
  }

  // The names of a message's files; how they look, and what they do, is loaded when it is needed.
  box({ text, attachments }) {
    if (!attachments) return null;
    const box = el("div", {}, attachments.map((one) => one.name).join(", "));
    this.files({ box, text, attachments });
    return box;
  }

  source({ n, title, source, url, quote }) {
    const label = title || source;
    return el(
      "details",
      { className: "source", ontoggle: (event) => event.target.scrollIntoView({ block: "nearest" }) },
      el("summary", {}, el("b", {}, String(n)), label),
      el("blockquote", { dir: "auto" }, quote),
      url ? link(source || url, url) : null,
    );
  }

  reference(n, sources) {
    const source = sources.get(n);
    if (!source) return null;
    const label = fill(this.words.source, { n });
    const onclick = () => (source.open = !source.open);
    return el("button", { className: "ref", type: "button", "aria-label": label, onclick }, String(n));
  }

  choices(buttons) {
    const row = el("div", { className: "choices" });
    for (const { label, action } of buttons) {
      const onclick = () => this.press({ action, label });
      const button = { className: "choice", type: "button", "data-action": action, onclick };
      row.append(el("button", button, label));
    }
    return row;
  }

  // A choice is for the moment it is offered in: the next thing anybody says ends it.
  dropChoices() {
    for (const row of this.items.querySelectorAll(".choices")) row.remove();
  }

  offers(action) {
    return !!this.items.querySelector(`[data-action="${action}"]`);
  }

  showQueue(queue) {
    this.queue = queue;
    const waiting = queue.filter((one) => !this.back.has(one.id));
    const rows = [...this.taken.values(), ...waiting].map((one) => this.waiting(one));
    this.pending.replaceChildren(...rows);
    if (rows.length) this.dropChoices();
  }

  isAfter(seq) {
    return Math.max(0, ...this.shown.keys()) > seq;
  }

  tookIn(message, seq) {
    if (!this.shown.has(seq)) this.taken.set(seq, { ...message, done: true });
  }

  cameBack(item) {
    const same = (one) => (one.text ?? one.label) === item.text && !this.back.has(one.id);
    const early = !this.taken.delete(item.seq) && this.queue.find(same);
    if (early) this.back.add(early.id);
    this.showQueue(this.queue);
  }

  waiting({ id, text, label, files, refused, done }) {
    const { words } = this;
    const row = el("div", { className: "row customer" + (done ? "" : " pending") });
    row.append(this.bubble([el("div", { className: "text" }, text ?? label), this.box({ attachments: files })]));
    if (refused) {
      const onclick = () => this.again(id);
      row.append(
        el("time", { className: "now" }, fill(words.refused, { why: refused })),
        el("button", { className: "choice", type: "button", onclick }, words.again),
      );
    } else {
      row.append(el("time", {}, done ? "" : words.sending));
    }
    return row;
  }

  typing({ author, agent }) {
    const who = author === "agent" ? agent || this.words.someone : this.words.bot;
    const stay = this.atEnd();
    this.dotsText.textContent = fill(this.words.typing, { who });
    this.dots.hidden = !this.draft.hidden;
    clearTimeout(this.dotsTimer);
    this.dotsTimer = setTimeout(() => (this.dots.hidden = true), TYPING_S * 1000);
    if (stay) this.toEnd();
  }

  partial(text) {
    const stay = this.atEnd();
    this.dots.hidden = true;
    this.draft.hidden = !text;
    this.draft.replaceChildren(this.bubble([markup(text, () => null)], { "aria-hidden": "true" }));
    if (stay) this.toEnd();
  }

  quiet() {
    this.dots.hidden = this.draft.hidden = true;
    clearTimeout(this.dotsTimer);
  }

  atEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.log;
    return scrollHeight - scrollTop - clientHeight < NEAR_END;
  }

  toEnd() {
    this.log.scrollTop = this.log.scrollHeight;
  }
}

const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
