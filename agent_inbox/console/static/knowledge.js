// The Knowledge page: documents in and out, with what became of each.

import { api, get, upload } from "./api.js";
import { fill, h, icon, openDialog, toast } from "./dom.js";
import { clock, number, t } from "./words.js";

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
      this.isAdmin ? this.dropZone() : h("p", { class: "hint" }, t("know.readonly")),
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
      const status = await upload(file, (share) => {
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
    while (this.open && !FINAL.has(now.state)) {
      row.bar.max = Math.max(now.chunks_total, 1);
      if (now.chunks_total) row.bar.value = now.chunks_done;
      else row.bar.removeAttribute("value");
      fill(row.words, revisionWords(now));
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      now = await get(`/revisions/${now.revision_id}`);
    }
    if (now.state === "failed") return this.failed(row, now.reason || t("rev.failed"));
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
      this.reasons.set(one.id + one.updated_at, detail.revisions[0]?.reason || "");
    }
  }

  draw() {
    if (!this.sources.length) return fill(this.table, h("p", { class: "empty" }, t("know.empty")));
    const head = h("thead", {}, h("tr", {}, ["document", "state", "passages", "updated"].map((name) =>
      h("th", { scope: "col", class: name }, t(`know.${name}`))), h("th", { class: "tools" })));
    return fill(this.table, h("table", {}, head, h("tbody", {}, this.sources.map((one) => this.row(one)))));
  }

  row(one) {
    const reason = one.state === "failed" ? this.reasons.get(one.id + one.updated_at) : "";
    return h("tr", { class: one.state },
      h("td", {}, h("button", { class: "link", onclick: () => this.showSource(one) }, one.title),
        one.title !== one.name && h("small", {}, one.name), reason && h("p", { class: "wrong" }, reason)),
      h("td", {}, h("span", { class: `chip ${one.state}` }, stateWords(one.state))),
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

  async showSource(one) {
    const detail = await get(`/sources/${encodeURIComponent(one.id)}`);
    const dialog = openDialog(detail.summary.title, h("div", { class: "source" },
      h("p", { class: "lead" }, detail.summary.name),
      health(detail.revisions.find((revision) => revision.health) || null),
      h("h3", {}, t("know.versions")),
      h("ul", { class: "versions" }, detail.revisions.map((revision) => h("li", {},
        h("span", { class: `chip ${revision.state}` }, revisionWords(revision)), h("time", {}, clock(revision.created_at)),
        h("small", {}, t("know.embedded", { count: revision.chunks_embedded })), revision.reason && h("p", { class: "wrong" }, revision.reason)))),
      h("h3", {}, t("know.passages")),
      h("ol", { class: "passages" }, detail.passages.map((passage) => h("li", {},
        passage.heading_path.length > 0 && h("small", {}, passage.heading_path.join(" › ")), h("p", {}, passage.text)))),
      h("div", { class: "actions" }, h("button", { class: "primary", onclick: () => dialog.close() }, t("do.close")))), { wide: true });
  }
}

function stateWords(state) {
  return state === "embedding" ? t("rev.parsing") : t(`rev.${state}`);
}

function revisionWords(one) {
  return t(`rev.${one.state}`, { done: number(one.chunks_done), total: number(one.chunks_total) });
}

function health(revision) {
  if (!revision) return null;
  const { health: found } = revision;
  const share = (value) => `${Math.round(value * 100)} %`;
  const pairs = [["characters", number(found.characters)], ["chunks", number(found.chunks)], ["duplicate", share(found.duplicate_share)],
    ["unknown", share(found.unknown_token_share)], ["language", found.language ? t(`language.${found.language}`) : "?"]];
  return h("section", { class: "health" }, h("h3", {}, t("know.health")),
    h("dl", { class: "facts" }, pairs.map(([name, value]) => [h("dt", {}, t(`know.health.${name}`)), h("dd", {}, value)])),
    found.warnings.length
      ? h("ul", { class: "warnings" }, found.warnings.map((one) => h("li", {}, one)))
      : h("p", { class: "fine" }, icon("check"), t("know.health.fine")));
}
