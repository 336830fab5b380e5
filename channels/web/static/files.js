// What the widget needs for files alone: loaded when the first one is chosen, dropped or saved.

const FILES_MAX = 10;
const BYTES_MAX = 20_000_000;

const WORDS = {
  en: {
    tray: "Files to send",
    save: "Save {name}",
    remove: "Remove {name}",
    many: "At most 10 files in one message.",
    size: "{name} is empty or larger than 20 MB.",
    failed: "{name} was not sent. {why}",
    lost: "{name} cannot be fetched just now.",
  },
  zh: {
    tray: "待发送的文件",
    save: "保存 {name}",
    remove: "移除 {name}",
    many: "一条消息最多 10 个文件。",
    size: "{name} 为空或超过 20 MB。",
    failed: "{name} 未发送。{why}",
    lost: "暂时无法获取 {name}。",
  },
};

const CLIP = "M19 11.5 11.4 19a4.6 4.6 0 0 1-6.5-6.5l8-8a3.1 3.1 0 0 1 4.4 4.4l-7.9 7.9a1.5 1.5 0 0 1-2.2-2.2l7-7";

const STYLE = `
.file { display: flex; gap: 7px; align-items: center; max-width: 100%; margin-top: 6px; padding: 5px 9px;
  border: 1px solid var(--line); border-radius: 9px; background: var(--ground); font-size: 14px; }
button.file:not(:disabled):hover { border-color: var(--accent); }
.file svg { flex: none; width: 16px; height: 16px; }
.file span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.file small { color: var(--faint); white-space: nowrap; }
.file:first-child { margin-top: 0; }
.text:not([hidden]) + .files { margin-top: 8px; }
.tray { flex: 100%; display: flex; flex-wrap: wrap; gap: 6px; min-width: 0; }
.tray .file { margin: 0; padding: 3px 3px 3px 9px; border-radius: 16px; }
.tray button { border: 0; background: none; padding: 0 7px; color: var(--faint); font-size: 17px; }
.tray button:hover { color: var(--text); }
.trouble { flex: 100%; margin: 3px 8px; font-size: 13px; color: var(--warn); }
.tray progress { width: 56px; height: 6px; accent-color: var(--accent); }
`;

export class Filing {
  constructor(chat, { el, fill, icon }) {
    Object.assign(this, { chat, el, fill, icon });
    this.words = WORDS[chat.language];
    this.files = [];
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    const root = chat.shadowRoot;
    root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];
    this.tray = el("div", { className: "tray", role: "group", "aria-label": this.words.tray, hidden: true });
    const onchange = () => {
      this.add(this.picker.files);
      this.picker.value = "";
    };
    this.picker = el("input", { type: "file", multiple: true, hidden: true, onchange });
    // The chat's own note tells of the connection, and comes and goes with it.
    this.trouble = el("p", { className: "trouble", role: "status", hidden: true });
    chat.form.prepend(this.trouble, this.tray, this.picker);
  }

  say(text) {
    this.trouble.textContent = text;
    this.trouble.hidden = !text;
  }

  pick() {
    this.picker.click();
  }

  add(files) {
    this.say("");
    for (const file of files) {
      const { name, size } = file;
      if (this.files.length >= FILES_MAX) return this.say(this.words.many);
      if (!size || size > BYTES_MAX) this.say(this.fill(this.words.size, { name }));
      else this.upload(file, { name, size, bar: this.el("progress", { value: 0, "aria-label": name }) });
    }
    this.chat.input.focus();
  }

  async upload(file, one) {
    this.files.push(one);
    this.draw();
    try {
      one.id = await this.send(file, (share) => (one.bar.value = share));
    } catch (problem) {
      this.files = this.files.filter((other) => other !== one);
      this.say(this.fill(this.words.failed, { name: one.name, why: problem.detail || "" }));
    }
    this.draw();
  }

  // A file goes ahead of its message, which then names its id. Rejects with words for people.
  async send(file, progress) {
    const { line } = this.chat;
    await line.entering?.catch(() => {});
    if (!line.token) await line.begin();
    return new Promise((done, fail) => {
      const request = new XMLHttpRequest();
      request.open("POST", line.base + "chat/files?name=" + encodeURIComponent(file.name));
      request.setRequestHeader("Authorization", "Bearer " + line.token);
      request.setRequestHeader("Accept-Language", line.language);
      request.setRequestHeader("Content-Type", "application/octet-stream");
      request.upload.onprogress = ({ loaded, total }) => progress(loaded / total);
      request.onerror = fail;
      request.onload = () => {
        if (request.status === 401) line.forget();
        try {
          const { id, detail } = JSON.parse(request.responseText);
          if (id) done(id);
          else fail({ detail });
        } catch (error) {
          fail(error);
        }
      };
      request.send(file);
    });
  }

  draw() {
    const rows = this.files.map((one) => {
      const onclick = () => {
        this.files = this.files.filter((other) => other !== one);
        this.draw();
        this.chat.input.focus();
      };
      const label = this.fill(this.words.remove, one);
      const drop = this.el("button", { type: "button", "aria-label": label, onclick }, "×");
      return this.el("div", { className: "file" }, ...this.parts(one.name, one.size), one.id ? null : one.bar, drop);
    });
    const stay = this.chat.view.atEnd();
    this.tray.replaceChildren(...rows);
    this.tray.hidden = !rows.length;
    if (stay) this.chat.view.toEnd();
    this.chat.ready();
  }

  get isBusy() {
    return this.files.some((one) => !one.id);
  }

  /** What goes with the message that is sent now. */
  take() {
    const files = this.files.map(({ id, name, size }) => ({ id, name, size }));
    this.say("");
    this.files = [];
    this.draw();
    return files.length ? files : undefined;
  }

  // The files of a message, in the place of their names.
  show({ box, text, attachments }) {
    const files = attachments.filter((one) => one.name || one.url);
    // Where only files came, the server has words that stand for them.
    const bare = /^(\[[^[\]]+\] ?)+$/.test(text) && text.split("] [").length === files.length;
    const words = box.previousElementSibling;
    if (words) words.hidden = bare || !words.textContent;
    const stay = this.chat.view.atEnd();
    box.className = "files";
    box.replaceChildren(...files.map((one) => this.chip(one)));
    if (stay) this.chat.view.toEnd();
  }

  chip({ name, url, size_bytes, size }) {
    const parts = this.parts(name, size_bytes || size);
    const label = this.fill(this.words.save, { name });
    if (!url) return this.el("div", { className: "file" }, ...parts);
    const onclick = () => this.save({ name, url });
    return this.el("button", { className: "file", type: "button", "aria-label": label, onclick }, ...parts);
  }

  parts(name, bytes) {
    const size = bytes < 1e6 ? Math.ceil(bytes / 1e3) + " KB" : (bytes / 1e6).toFixed(1) + " MB";
    return [this.icon(CLIP), this.el("span", { dir: "auto" }, name), bytes ? this.el("small", {}, size) : null];
  }

  async save({ url, name }) {
    try {
      const answer = await this.chat.line.fetch(url.slice(1));
      if (!answer.ok) throw answer;
      const href = URL.createObjectURL(await answer.blob());
      this.el("a", { href, download: name }).click();
      setTimeout(() => URL.revokeObjectURL(href), 60_000);
    } catch {
      this.say(this.fill(this.words.lost, { name }));
    }
  }
}
