// The Knowledge page: documents in and out, with what became of each.

import { api, get, post, upload } from "./api.js";
import { fill, h, icon, openDialog, toast } from "./dom.js";
import { audienceField, audienceWords, revisionWords, showSource } from "./source.js";
import { clock, inWords, number, t } from "./words.js";

const POLL_MS = 700;
const FINAL = new Set(["live", "superseded", "failed"]);

export class KnowledgePage {
  constructor({ me }) {
    this.isAdmin = me.role === "admin";
    this.sources = [];
    this.reasons = new Map();
    this.open = true;
    this.uploads = h("ul", { class: "uploads", "aria-live": "polite" });
    this.table = h("div", { class: "sources-list" });
    this.more = h("button", { class: "quiet more", hidden: true, onclick: () => this.load(this.next) }, t("list.more"));
    this.element = h("main", { class: "page" },
      h("h1", {}, t("know.title")), h("p", { class: "lead" }, t("know.lead")),
      this.isAdmin ? [this.dropZone(), this.options()] : h("p", { class: "hint" }, t("know.readonly")),
      this.uploads, this.table, this.more);
  }

  go() {
    this.load();
  }

  close() {
    this.open = false;
  }

  dropZone() {
    const input = h("input", { type: "file", multiple: true, class: "unseen", onchange: () => this.send(input) });
    const zone = h("label", { class: "drop" }, icon("upload"),
      h("span", {}, t("know.drop"), " ", h("b", {}, t("know.pick"))), h("small", {}, t("know.kinds")), input);
    for (const name of ["dragenter", "dragover"]) {
      zone.addEventListener(name, (event) => (event.preventDefault(), zone.classList.add("over")));
    }
    for (const name of ["dragleave", "drop"]) zone.addEventListener(name, () => zone.classList.remove("over"));
    zone.addEventListener("drop", (event) => {
      event.preventDefault();
      this.send({ files: event.dataTransfer.files });
    });
    return zone;
  }

  /** Who may read what is added, and an address instead of a file. */
  options() {
    this.audience = audienceField("", { unchanged: true });
    const address = h("input", { type: "url", required: true, maxlength: 2000, placeholder: "https://", "aria-label": t("know.address") });
    const add = h("form", { class: "address-field", onsubmit: (event) => {
      event.preventDefault();
      const url = address.value.trim();
      address.value = "";
      this.sendAddress(url);
    } }, address, h("button", {}, t("know.add_page")));
    return h("div", { class: "add-options" }, add, h("label", { class: "for" }, t("know.audience"), this.audience));
  }

  /** A page, or every page that a sitemap names. */
  async sendAddress(url) {
    const first = this.uploadRow({ name: url });
    try {
      const { urls } = await post("/pages", { url });
      const rows = urls.map((one, at) => (at ? this.uploadRow({ name: one }) : first));
      for (const [at, one] of urls.entries()) await this.sendPage(one, rows[at]);
    } catch (problem) {
      if (!problem.kind) throw problem;
      this.failed(first, problem.words);
    }
    this.load();
  }

  async sendPage(url, row) {
    try {
      fill(row.words, t("know.fetching"));
      await this.follow(await post("/sources/page", { url, audience: this.audience.value || null }), row);
    } catch (problem) {
      if (!problem.kind) throw problem;
      this.failed(row, problem.words);
    }
  }

  /** One file after the other: the first is answerable while the last still travels. */
  async send(input) {
    const files = [...input.files].map((file) => ({ file, row: this.uploadRow(file) }));
    input.value = "";
    for (const { file, row } of files) await this.sendOne(file, row);
    this.load();
  }

  uploadRow(file) {
    const row = {
      bar: h("progress", { max: "1", value: 0, "aria-label": file.name }),
      words: h("span", { class: "words" }, t("rev.queued")),
      element: null,
    };
    row.element = h("li", {}, icon("file"), h("strong", {}, file.name), row.words, row.bar);
    this.uploads.append(row.element);
    return row;
  }

  async sendOne(file, row) {
    try {
      const status = await upload(file, this.audience.value, (share) => {
        row.bar.value = share;
        fill(row.words, t("know.sending", { share: Math.round(share * 100) }));
      });
      this.load();
      await this.follow(status, row);
    } catch (problem) {
      if (!problem.kind) throw problem;
      this.failed(row, problem.words);
    }
  }

  /** Bytes are in; from here on its passages count. */
  async follow(status, row) {
    let now = status;
    const pace = new Pace();
    while (this.open && !FINAL.has(now.state)) {
      row.bar.max = Math.max(now.chunks_total, 1);
      if (now.chunks_total) row.bar.value = now.chunks_done;
      else row.bar.removeAttribute("value");
      fill(row.words, revisionWords(now), pace.words(now));
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      now = await get(`/revisions/${now.revision_id}`);
    }
    if (now.state === "failed") return this.failed(row, inWords(now.reason) || t("rev.failed"));
    row.bar.max = row.bar.value = 1;
    row.element.classList.add("done");
    fill(row.words, revisionWords(now), now.chunks_embedded !== now.chunks_total && ` · ${t("know.embedded", { count: now.chunks_embedded })}`);
    setTimeout(() => row.element.remove(), 6000);
    return this.load();
  }

  failed(row, words) {
    row.element.classList.add("failed");
    row.bar.hidden = true;
    fill(row.words, words);
    row.element.append(h("button", { class: "quiet", onclick: () => row.element.remove(), "aria-label": t("do.close") }, icon("close")));
  }

  async load(after = "") {
    clearTimeout(this.again);
    if (!this.open) return;
    try {
      const page = await get(`/sources?after=${encodeURIComponent(after)}`);
      this.sources = after ? this.sources.concat(page.items) : page.items;
      this.next = page.next;
      this.more.hidden = !page.next;
      await this.loadReasons();
      this.draw();
    } catch (problem) {
      if (!this.sources.length) fill(this.table, h("p", { class: "empty" }, problem.words));
    }
    const moving = this.sources.some((one) => !FINAL.has(one.state));
    if (this.open && moving && !after) this.again = setTimeout(() => this.load(), 2000);
  }

  /** Why a document failed, in words for whoever uploaded it. */
  async loadReasons() {
    for (const one of this.sources.filter((source) => source.state === "failed" && !this.reasons.has(source.id + source.updated_at))) {
      const detail = await get(`/sources/${encodeURIComponent(one.id)}`);
      this.reasons.set(one.id + one.updated_at, inWords(detail.revisions[0]?.reason) || "");
    }
  }

  draw() {
    if (!this.sources.length) return fill(this.table, h("p", { class: "empty" }, t("know.empty")));
    const head = h("thead", {}, h("tr", {}, ["document", "state", "audience", "passages", "updated"].map((name) =>
      h("th", { scope: "col", class: name }, t(`know.${name}`))), h("th", { class: "tools" })));
    return fill(this.table, h("table", {}, head, h("tbody", {}, this.sources.map((one) => this.row(one)))));
  }

  row(one) {
    const reason = one.state === "failed" ? this.reasons.get(one.id + one.updated_at) : "";
    return h("tr", { class: one.state },
      h("td", {}, h("button", { class: "link", onclick: () => showSource(one, { isAdmin: this.isAdmin, changed: () => this.load() }) }, one.title),
        one.title !== one.name && h("small", {}, one.name), reason && h("p", { class: "wrong" }, reason)),
      h("td", {}, h("span", { class: `chip ${one.state}` }, stateWords(one.state))),
      h("td", {}, h("span", { class: one.audience === "public" ? "chip" : "chip waiting" }, audienceWords(one.audience))),
      h("td", { class: "number" }, number(one.chunks)),
      h("td", { class: "when" }, clock(one.updated_at)),
      h("td", { class: "tools" }, this.isAdmin && h("button", { class: "quiet danger", onclick: () => this.remove(one) }, t("know.remove"))));
  }

  remove(one) {
    const dialog = openDialog(t("know.remove"), h("div", {}, h("p", {}, t("know.remove_sure", { name: one.title })),
      h("div", { class: "actions" },
        h("button", { onclick: () => dialog.close() }, t("do.cancel")),
        h("button", { class: "primary danger", onclick: async () => {
          try {
            await api("DELETE", `/sources/${encodeURIComponent(one.id)}`);
          } catch (problem) {
            toast(problem.words, "bad");
          }
          dialog.close();
          this.load();
        } }, t("know.remove")))));
  }
}

/** Passages a second since the first look, and how long the rest will take at that. */
class Pace {
  words(now) {
    if (now.state !== "embedding" || !now.chunks_total) return null;
    this.begun ??= { at: Date.now(), done: now.chunks_done };
    const seconds = (Date.now() - this.begun.at) / 1000;
    const rate = (now.chunks_done - this.begun.done) / seconds;
    if (seconds < 2 || rate <= 0) return null;
    const left = Math.ceil((now.chunks_total - now.chunks_done) / rate);
    const time = left < 90 ? t("know.seconds", { count: left }) : t("know.minutes", { count: Math.round(left / 60) });
    return ` · ${t("know.pace", { rate: rate.toFixed(1), time })}`;
  }
}

function stateWords(state) {
  return state === "embedding" ? t("rev.parsing") : t(`rev.${state}`);
}
