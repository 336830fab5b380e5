// The connection: what is written is kept before it is sent, what is read comes once, in order.

const SOCKET_TRIES = 2; // in a row that never opened: then polls, and tries a socket again later
const POLLS_BEFORE_SOCKET = 8;
const POLL_S = 25;
const PING_S = 25;
const DEAD_S = 10;
const OPEN = 1; // of a socket; a page may have replaced or removed WebSocket itself

class Line {
  // `on` has: item, update, anew, state, typing, partial, queue, sent, link, restarted.
  constructor(base, memory, language, on) {
    Object.assign(this, { base, memory, language, on });
    this.after = 0;
    this.numbering = 0; // what `after` is a number of
    this.token = memory.read("token", null);
    this.queue = memory.read("queue", []);
    this.alive = true;
    this.failed = 0; // sockets in a row that never opened
    this.waits = new Set();
    this.wake = () => this.look();
    addEventListener("online", this.wake);
    addEventListener("offline", this.wake);
    document.addEventListener("visibilitychange", this.wake);
    if (this.token) this.listen();
    if (this.queue.length) this.flush();
  }

  close() {
    this.alive = false;
    removeEventListener("online", this.wake);
    removeEventListener("offline", this.wake);
    document.removeEventListener("visibilitychange", this.wake);
    this.socket?.close();
    this.polling?.abort();
    this.hurry();
  }

  // Back online or awake: do now what waits, and find out whether the socket is still there.
  look() {
    this.on.link(navigator.onLine ? this.linked : false);
    if (!navigator.onLine || document.hidden) return;
    this.hurry();
    this.ping();
  }

  hurry() {
    for (const go of this.waits) go();
  }

  pause(seconds) {
    return new Promise((resolve) => {
      const go = () => {
        clearTimeout(timer);
        this.waits.delete(go);
        resolve();
      };
      const timer = setTimeout(go, seconds * 1000);
      this.waits.add(go);
    });
  }

  // Full jitter: many browsers that lost the same server do not come back at once.
  backoff(tries) {
    return this.pause(0.3 + Math.random() * Math.min(30, 2 ** tries));
  }

  fetch(path, options = {}) {
    const headers = { "Accept-Language": this.language };
    if (this.token) headers.Authorization = "Bearer " + this.token;
    if (options.body) headers["Content-Type"] = "application/json";
    return fetch(this.base + path, { ...options, headers, credentials: "omit", cache: "no-store" });
  }

  // Writing

  send(message) {
    const id = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
      byte.toString(16).padStart(2, "0"),
    ).join("");
    const kept = { id, ...message };
    this.queue.push(kept);
    this.keep((all) => [...all, kept]);
    this.flush();
  }

  // Other tabs keep theirs in the same list. A message sent by two tabs is one: it has one id.
  keep(change) {
    this.memory.write("queue", change(this.memory.read("queue", [])));
    this.on.queue(this.queue);
  }

  drop(id) {
    this.queue = this.queue.filter((one) => one.id !== id);
    this.keep((all) => all.filter((one) => one.id !== id));
  }

  refuse(id, refused) {
    this.queue = this.queue.map((one) => (one.id === id ? { ...one, refused } : one));
    this.keep((all) => all.map((one) => (one.id === id ? { ...one, refused } : one)));
    if (!refused) this.flush();
  }

  async flush() {
    if (this.flushing) return;
    this.flushing = true;
    let tries = 0;
    for (let message; this.alive && (message = this.queue.find((one) => !one.refused)); ) {
      const wait = await this.post(message).catch(() => ++tries && null);
      if (wait === undefined) tries = 0;
      else if (wait === null) await this.backoff(tries);
      else await this.pause(wait);
    }
    this.flushing = false;
  }

  // Undefined when the message is done with, else the seconds to wait before the next try.
  async post(message) {
    const { id, text, action, files } = message;
    await this.entering?.catch(() => {}); // what is written now is for whom they are about to be
    if (!this.token) await this.begin();
    const said = { text: text || undefined, action, files: files?.map((one) => one.id) };
    const body = JSON.stringify({ client_message_id: id, ...said });
    const answer = await this.fetch("chat/messages", { method: "POST", body });
    if (answer.status === 201) {
      this.on.sent(message, (await answer.json()).seq);
      this.drop(id);
    } else if (answer.status === 401) {
      this.forget();
      return 1;
    } else if (answer.status === 409) {
      this.drop(id);
    } else if (answer.status === 429 || answer.status >= 500 || answer.status === 408) {
      const wait = +answer.headers.get("Retry-After");
      if (!wait) throw new Error("later");
      return wait + Math.random();
    } else {
      const why = await answer.json().then((problem) => problem.detail, () => answer.status);
      this.refuse(id, String(why));
    }
  }

  // Several may need a session at once: they share one.
  begin() {
    return (this.beginning ||= this.start().finally(() => (this.beginning = null)));
  }

  async start() {
    this.token = this.memory.read("token", null); // another tab may have begun
    if (this.token) return void this.listen();
    await this.enter({});
  }

  // A session: a new one, or that of somebody who is known by the host's word or by a link.
  enter(who) {
    return (this.entering = this.open(who).finally(() => (this.entering = null)));
  }

  async open(who) {
    const body = JSON.stringify({ language: this.language, ...who });
    const answer = await this.fetch("chat/sessions", { method: "POST", body });
    const made = await answer.json();
    if (answer.status !== 201) throw new Error(made.detail);
    this.memory.write("token", (this.token = made.token));
    this.anew(made.numbering);
    this.socket?.close();
    this.hurry();
    this.listen();
  }

  // The numbers that were read mean other items from now on: all come again.
  anew(numbering) {
    this.after = 0;
    this.numbering = numbering;
    this.on.anew();
  }

  // The server knows the token no more. Another tab may have a newer one; else what waits to be
  // sent goes to a new session.
  forget() {
    if (!this.token || this.entering) return;
    const other = this.memory.read("token", null);
    this.leave(other === this.token ? null : other);
    if (!this.token) this.on.restarted();
  }

  leave(token) {
    this.memory.write("token", (this.token = token));
    this.anew(0);
    this.socket?.close();
  }

  // Reading

  async listen() {
    if (this.listening) return;
    this.listening = true;
    let tries = 0;
    for (let polls = 0; this.alive && this.token; ) {
      let fine;
      if (!this.isPolling) {
        fine = await this.hold();
        this.failed = fine ? 0 : this.failed + 1;
      } else {
        fine = await this.poll(polls === 0 ? 0 : POLL_S);
        polls = fine ? polls + 1 : 0;
        if (polls > POLLS_BEFORE_SOCKET) this.failed = polls = 0;
        if (fine) {
          tries = 0;
          continue;
        }
      }
      this.link(false);
      tries = fine ? 1 : tries + 1;
      if (this.alive && this.token) await this.backoff(tries);
    }
    this.listening = false;
  }

  get isPolling() {
    return this.failed >= SOCKET_TRIES;
  }

  link(linked) {
    this.linked = linked;
    this.on.link(linked && navigator.onLine);
  }

  // One socket from its opening to its end; whether it ever said anything.
  hold() {
    return new Promise((resolve) => {
      let spoke = false;
      let socket;
      try {
        socket = new WebSocket(this.base.replace(/^http/, "ws") + "chat/socket");
      } catch {
        return resolve(false);
      }
      this.socket = socket;
      const beat = setInterval(() => this.ping(), PING_S * 1000);
      const late = setTimeout(() => socket.close(), DEAD_S * 1000);
      socket.onopen = () =>
        socket.send(
          JSON.stringify({ token: this.token, after: this.after, numbering: this.numbering }),
        );
      socket.onmessage = (event) => {
        clearTimeout(late);
        clearTimeout(this.doubt);
        this.doubt = null;
        if (!spoke) this.link((spoke = true));
        this.take(JSON.parse(event.data));
      };
      socket.onclose = (event) => {
        clearInterval(beat);
        clearTimeout(late);
        if (event.code === 4401) this.forget();
        resolve(spoke);
      };
    });
  }

  // A socket can be dead without a word: it must answer this in time.
  ping() {
    const socket = this.socket;
    if (socket?.readyState !== OPEN || this.doubt) return;
    socket.send('{"type":"ping"}');
    this.doubt = setTimeout(() => {
      this.doubt = null;
      socket.close();
      socket.onclose({ code: 0 });
    }, DEAD_S * 1000);
  }

  typing() {
    const now = Date.now();
    if (this.socket?.readyState !== OPEN || now < (this.told || 0) + 2000) return;
    this.told = now;
    this.socket.send('{"type":"typing"}');
  }

  async poll(wait) {
    this.polling = new AbortController();
    const late = setTimeout(() => this.polling.abort(), (wait + DEAD_S) * 1000);
    try {
      const query = `?after=${this.after}&numbering=${this.numbering}&wait=${wait}`;
      const answer = await this.fetch("chat/messages" + query, { signal: this.polling.signal });
      if (answer.status === 401) this.forget();
      if (!answer.ok) return false;
      const { items, numbering } = await answer.json();
      this.link(true);
      if (numbering !== this.numbering) this.anew(numbering);
      for (const item of items) this.show(item);
      return true;
    } catch {
      return false;
    } finally {
      clearTimeout(late);
    }
  }

  take(frame) {
    if (frame.item) this.show(frame.item);
    else if (frame.type === "anew") this.anew(frame.numbering);
    else if (frame.type === "state") this.on.state(frame);
    else if (frame.type === "typing") this.on.typing(frame);
    else if (frame.type === "partial") this.on.partial(frame.text);
  }

  // What comes again, from another tab's poll or an edit, only changes what is there.
  show(item) {
    if (item.seq <= this.after) return this.on.update(item);
    this.after = item.seq;
    this.on.item(item);
  }
}
