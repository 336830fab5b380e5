// <tandem-chat lang="en|zh" open name="…" accent="#…">: the chat in a Shadow DOM of its own.

const SCRIPT = document.currentScript;
const BASE = new URL("./", SCRIPT?.src || location.href).href;

class TandemChat extends HTMLElement {
  connectedCallback() {
    if (this.line) return;
    const chosen = this.getAttribute("lang") || SCRIPT?.dataset.lang;
    this.language = languageOf(chosen || document.documentElement.lang || navigator.language);
    this.words = WORDS[this.language];
    this.memory = new Memory("tandem:" + BASE + ":");
    this.state = { state: "bot" };
    this.build();
    this.line = new Line(BASE, this.memory, this.language, {
      item: (item) => this.arrived(item),
      update: (item) => this.view.update(item),
      anew: () => this.view.clear(),
      state: (state) => this.setState(state),
      typing: (frame) => this.view.typing(frame),
      // What is on its way when a person takes over is not shown any more.
      partial: (text) => this.state.state === "bot" && this.view.partial(text),
      queue: (queue) => this.showQueue(queue),
      sent: (message, seq) => this.sent(message, seq),
      link: (linked) => this.setLink(linked),
      restarted: () => this.restarted(),
    });
    this.setState(this.state);
    this.showQueue(this.line.queue);
    if (!this.memory.lasting) this.notice(this.words.forgetful);
    // On a phone the panel is the whole screen: that is for the customer to ask for.
    if (this.hasAttribute("open") && innerWidth > 480) this.show(false);
    this.recognise();
    this.arrive();
  }

  // Whom the host page vouches for. Nobody any more: what they said is not for who sits here next.
  recognise() {
    const identity = this.getAttribute("identity") || SCRIPT?.dataset.identity;
    const sub = identity ? subjectOf(identity) : null;
    if (sub === this.memory.read("sub", null)) return;
    if (!identity) this.line.leave(null);
    else this.enter({ identity });
    this.memory.write("sub", sub);
  }

  // By a link from another channel. Whoever opens it shares a conversation: that is asked first.
  arrive() {
    const here = new URL(location.href);
    const code = here.searchParams.get("tandem");
    if (!code) return;
    here.searchParams.delete("tandem");
    history.replaceState(history.state, "", here);
    const { words } = this;
    const choice = (label, go) =>
      el("button", { className: "choice", type: "button", onclick: () => (gate.remove(), go()) }, label);
    const yes = choice(words.yes, () => this.enter({ code }));
    const gate = el("div", { className: "row system" }, this.view.bubble([words.go_on]),
      el("div", { className: "choices" }, yes, choice(words.no, () => {})));
    this.view.log.append(gate);
    this.show();
    this.view.toEnd();
  }

  enter(who) {
    this.line.enter(who).catch((error) => this.notice(error.message));
  }

  disconnectedCallback() {
    this.line?.close();
    this.line = null;
  }

  // For the host page: ask as if the customer had typed it.
  ask(text) {
    this.show();
    this.say({ text });
  }

  build() {
    const { words } = this;
    const root = this.shadowRoot || this.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];
    const accent = this.getAttribute("accent") || SCRIPT?.dataset.accent;
    if (accent && CSS.supports("color", accent)) this.style.setProperty("--accent", accent);
    const press = (message) => this.say(message);
    this.view = new View(words, press, (id) => this.line.refuse(id, undefined), (shown) => this.use("show", shown));
    this.badge = el("span", { className: "badge", hidden: true });
    this.launcher = el(
      "button",
      { className: "launcher", type: "button", "aria-label": words.open, "aria-expanded": "false",
        onclick: () => this.show() },
      icon("M4 5h16v11H9l-5 4z"),
      this.badge,
    );
    this.panel = this.buildPanel();
    root.replaceChildren(this.panel, this.launcher);
  }

  buildPanel() {
    const { words } = this;
    const name = this.getAttribute("name") || SCRIPT?.dataset.name || document.title || "Tandem";
    this.status = el("p", { className: "status", role: "status" });
    this.stateButton = el("button", { className: "quiet", type: "button",
      onclick: () => this.say(this.offer) });
    this.note = el("p", { className: "note", role: "status", hidden: true });
    this.input = el("textarea", { rows: 1, maxLength: 40000, placeholder: words.write,
      "aria-label": words.write, enterkeyhint: "send",
      oninput: () => this.typed(), onkeydown: (event) => this.pressed(event) });
    this.button = el("button", { className: "send", type: "submit", "aria-label": words.send,
      disabled: true }, icon("M4 12 20 4l-5 16-4-6z"));
    const close = el("button", { className: "close", type: "button", "aria-label": words.close,
      onclick: () => this.hide() }, icon("M6 6l12 12M18 6 6 18"));
    const clip = el("button", { className: "clip", type: "button", "aria-label": words.attach,
      title: words.attach, onclick: () => this.use("pick") }, icon("M19 12l-7 7a5 5 0 0 1-7-7l8-8a3 3 0 0 1 4.5 4.5l-8 8"));
    const onpaste = (event) => this.dropped(event, event.clipboardData);
    this.form = el("form", { onsubmit: (event) => this.submit(event), onpaste }, clip, this.input, this.button);
    const head = el("header", {}, el("div", {}, el("h2", {}, name), this.status), close);
    const foot = el("footer", {}, this.note, this.form, this.stateButton);
    const ondrop = (event) => this.dropped(event, event.dataTransfer);
    const ondragover = (event) => event.preventDefault();
    return el("section", { ondrop, ondragover, className: "panel", role: "dialog", "aria-label": name, hidden: true,
      lang: this.language, onkeydown: (event) => event.key === "Escape" && this.hide() },
      head, this.view.log, foot);
  }

  show(focus = true) {
    if (!this.panel.hidden) return;
    this.panel.hidden = false;
    this.launcher.hidden = true;
    this.launcher.setAttribute("aria-expanded", "true");
    this.view.toEnd();
    this.read();
    if (focus) this.input.focus();
  }

  hide() {
    this.panel.hidden = true;
    this.launcher.hidden = false;
    this.launcher.setAttribute("aria-expanded", "false");
    this.launcher.focus();
  }

  // Writing

  pressed(event) {
    // While an input method composes (Chinese, Japanese), Enter belongs to it.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    this.submit(event);
  }

  ready() {
    const { filing } = this;
    this.button.disabled = !(this.input.value.trim() || filing?.files.length) || filing?.isBusy;
  }

  dropped(event, { files }) {
    if (!files.length) return;
    event.preventDefault();
    this.use("add", [...files]);
  }

  // What only files need is loaded with the first of them.
  async use(verb, what) {
    try {
      const { Filing } = await import(BASE + "widget-files.js");
      this.filing ||= new Filing(this, { el, fill, icon });
      this.filing[verb](what);
    } catch {
      this.notice(this.words.reconnecting);
    }
  }

  typed() {
    this.ready();
    this.input.style.height = "auto";
    this.input.style.height = Math.min(this.input.scrollHeight, 132) + "px";
    if (this.input.value) this.line.typing();
  }

  submit(event) {
    event.preventDefault();
    this.ready();
    if (this.button.disabled) return;
    const text = this.input.value.trim();
    const files = this.filing?.take();
    this.input.value = "";
    this.typed();
    this.say({ text, files });
    this.input.focus();
  }

  say(message) {
    this.line.send(message);
    this.view.toEnd();
  }

  // A bot sets to work at once; its own word that it does may come before we listen.
  sent(message, seq) {
    this.view.tookIn(message, seq);
    const asked = !message.action || message.action.startsWith("choose");
    if (asked && this.state.state === "bot" && !this.view.isAfter(seq)) {
      this.view.typing({ author: "bot" });
    }
  }

  showQueue(queue) {
    this.view.showQueue(queue);
    this.showOffer();
  }

  // Reading

  arrived(item) {
    this.view.add(item);
    if (this.line.isPolling) this.guessState(item);
    this.showOffer();
    this.read();
  }

  read() {
    const seqs = this.view.others();
    const newest = Math.max(0, ...seqs);
    let read = this.memory.read("read", 0);
    if (!this.panel.hidden && !document.hidden && newest > read) {
      this.memory.write("read", (read = newest));
    }
    const unread = seqs.filter((seq) => seq > read).length;
    this.badge.hidden = !unread;
    this.badge.textContent = unread > 9 ? "9+" : String(unread);
    const count = unread ? ", " + fill(this.words.unread, { n: unread }) : "";
    this.launcher.setAttribute("aria-label", this.words.open + count);
  }

  setState(frame) {
    const { words } = this;
    const { state, place, agent } = (this.state = frame);
    const key = state === "waiting" && place ? "state_place" : "state_" + state;
    this.status.textContent = fill(words[key], { n: place, who: agent || words.someone });
    this.status.dataset.state = state;
    this.offer =
      state === "waiting"
        ? { action: "bot", label: words.back }
        : { action: "human", label: words.human };
    this.stateButton.textContent = this.offer.label;
    this.showOffer();
  }

  // Polls bring items only: who speaks now shows in who spoke, and in what is offered.
  guessState({ author, agent, buttons }) {
    const offers = (action) => buttons.some((one) => one.action === action);
    if (author === "agent") this.setState({ state: "agent", agent });
    else if (author === "bot" || offers("human")) this.setState({ state: "bot" });
    else if (offers("bot")) this.setState({ state: "waiting" });
  }

  // The way to a person, or back, is always in sight, and only once.
  showOffer() {
    const stay = this.view.atEnd();
    const { state } = this.state;
    const needless = state === "agent" || state === "closed" || this.view.offers(this.offer.action);
    this.stateButton.hidden = needless;
    if (stay) this.view.toEnd();
  }

  setLink(linked) {
    clearTimeout(this.linkTimer);
    if (linked) this.notice(this.memory.lasting ? "" : this.words.forgetful);
    else if (!navigator.onLine) this.notice(this.words.offline);
    else this.linkTimer = setTimeout(() => this.notice(this.words.reconnecting), 2500);
  }

  notice(text) {
    this.note.textContent = text;
    this.note.hidden = !text;
  }

  restarted() {
    this.view.clear();
    this.memory.write("read", 0);
    this.setState({ state: "bot" });
    this.notice(this.words.restarted);
  }
}

function subjectOf(identity) {
  try {
    return JSON.parse(atob(identity.split(".")[1].replace(/-/g, "+").replace(/_/g, "/"))).sub;
  } catch {
    return identity;
  }
}

if (!customElements.get("tandem-chat")) customElements.define("tandem-chat", TandemChat);

// One script tag is enough: without an element of its own, the page gets one.
function settle() {
  if (document.querySelector("tandem-chat")) return;
  const chat = document.createElement("tandem-chat");
  if (SCRIPT?.dataset.open !== undefined) chat.setAttribute("open", "");
  document.body.append(chat);
}
if (document.readyState === "loading") addEventListener("DOMContentLoaded", settle);
else settle();
