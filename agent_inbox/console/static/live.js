// The live socket: hints that something changed. What a lost hint would have said, a slow poll finds.

const POLL_MS = 20_000;
const RETRY_MS_MAX = 15_000;
const COALESCE_MS = 80;

export class Live {
  constructor({ onChange, onTyping, onState }) {
    this.onChange = onChange;
    this.onTyping = onTyping;
    this.onState = onState;
    this.watched = "";
    this.retryMs = 500;
    this.closed = false;
    this.connect();
    this.poll = setInterval(() => document.hidden || this.changed(), POLL_MS);
    this.wake = () => document.hidden || this.changed();
    document.addEventListener("visibilitychange", this.wake);
  }

  connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.socket = new WebSocket(`${scheme}://${location.host}/console/api/live`);
    this.socket.onopen = () => {
      this.retryMs = 500;
      this.onState(true);
      this.watch(this.watched);
      this.changed();
    };
    this.socket.onmessage = (event) => this.heard(JSON.parse(event.data));
    this.socket.onclose = () => {
      this.onState(false);
      if (this.closed) return;
      setTimeout(() => this.closed || this.connect(), this.retryMs * (0.5 + Math.random()));
      this.retryMs = Math.min(this.retryMs * 2, RETRY_MS_MAX);
    };
  }

  heard(frame) {
    if (frame.type === "changed") this.changed();
    if (frame.type === "typing") this.onTyping(frame);
  }

  /** Many hints at once become one look. */
  changed() {
    if (this.soon) return;
    this.soon = setTimeout(() => {
      this.soon = null;
      if (!this.closed) this.onChange();
    }, COALESCE_MS);
  }

  watch(conversation) {
    this.watched = conversation;
    this.send({ type: "watch", conversation });
  }

  typing() {
    const now = Date.now();
    if (now - (this.typedAt || 0) < 3000) return;
    this.typedAt = now;
    this.send({ type: "typing" });
  }

  send(frame) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(frame));
  }

  close() {
    this.closed = true;
    clearInterval(this.poll);
    document.removeEventListener("visibilitychange", this.wake);
    this.socket.close();
  }
}
