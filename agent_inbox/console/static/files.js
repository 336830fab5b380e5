// Files: those of a line, to be looked at and saved, and those an agent is about to send.

import { fetchFile, sendFile } from "./api.js";
import { fill, h, icon, toast } from "./dom.js";
import { fileSize, labelIn, t } from "./words.js";

export const FILES_MAX = 10;
export const BYTES_MAX = 20_000_000;
const IMAGES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"]);

/** The text of a line as people typed it: where only files came, the words that stand for them in
    the transcript are left out, because the files are shown. */
export function typedText({ text, attachments = [] }) {
  const standsFor = (language) => attachments.map((one) => `[${labelIn(language, one.kind)}]`).join(" ").toLowerCase();
  const bare = attachments.length > 0 && ["en", "zh"].some((language) => standsFor(language) === text.toLowerCase());
  return bare ? "" : text;
}

export const fileName = (one) => one.name || t(`file.${one.kind}`);

/** The files of a line. Bytes are fetched when they are asked for, never before. */
export function lineFiles(line) {
  return h("ul", { class: "files" }, line.attachments.map((one) => h("li", {}, lineFile(line, one))));
}

function lineFile(line, one) {
  const path = `/messages/${encodeURIComponent(line.id)}/attachments/${one.n}`;
  const about = [one.name ? t(`file.${one.kind}`) : "", one.size_bytes ? fileSize(one.size_bytes) : ""].filter(Boolean).join(" · ");
  const label = [icon(one.kind === "image" ? "image" : "file"), h("bdi", { class: "name" }, fileName(one)), about && h("small", {}, about)];
  if (one.held === "nowhere") return h("span", { class: "file" }, label, h("small", {}, t("file.nowhere")));
  const save = h("a", {
    class: "file", href: `/console/api${path}`, download: fileName(one), title: t("file.save", { name: fileName(one) }),
    onclick: (event) => (event.preventDefault(), saveFile(path, fileName(one))),
  }, label);
  return [save, (one.kind === "image" || IMAGES.has(one.media_type)) && thumbnail(path, one)];
}

function thumbnail(path, one) {
  const show = h("button", { class: "quiet show", "aria-label": `${t("file.show")}: ${fileName(one)}`, onclick: () => {
    const image = h("img", { class: "thumb", src: `/console/api${path}`, alt: fileName(one) });
    image.onerror = () => image.replaceWith(h("small", { class: "wrong" }, t("file.no_picture")));
    show.replaceWith(image);
  } }, t("file.show"));
  return show;
}

async function saveFile(path, name) {
  try {
    const address = URL.createObjectURL(await fetchFile(path));
    h("a", { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  } catch (problem) {
    toast(problem.words || t("problem.offline"), "bad");
  }
}

/** The files that go with the next reply, from the moment they are chosen. */
export class Tray {
  constructor(changed) {
    this.changed = changed;
    this.kept = [];
    this.picker = h("input", { type: "file", multiple: true, hidden: true, onchange: () => {
      this.add(this.picker.files);
      this.picker.value = "";
    } });
    this.button = h("button", { class: "quiet attach", "aria-label": t("file.attach"), title: t("file.attach"), onclick: () => this.picker.click() }, icon("clip"));
    this.element = h("ul", { class: "tray", hidden: true, "aria-label": t("file.to_send") });
  }

  get ids() {
    return this.kept.map((one) => one.id);
  }

  get isBusy() {
    return this.kept.some((one) => !one.id);
  }

  /** Another conversation's files. */
  hold(kept) {
    this.kept = kept;
    this.draw();
  }

  add(files) {
    for (const file of files) {
      if (this.kept.length >= FILES_MAX) return toast(t("file.too_many", { count: FILES_MAX }), "bad");
      if (file.size > BYTES_MAX) toast(t("file.too_big", { name: file.name }), "bad");
      else if (!file.size) toast(t("file.empty", { name: file.name }), "bad");
      else this.send(file, this.kept);
    }
  }

  async send(file, kept) {
    const one = { name: file.name, size: file.size, share: 0, id: "" };
    kept.push(one);
    this.draw();
    try {
      const found = await sendFile(`/files?name=${encodeURIComponent(file.name)}`, file, (share) => {
        one.share = share;
        one.bar?.setAttribute("value", String(share));
      });
      one.id = found.id;
    } catch (problem) {
      kept.splice(kept.indexOf(one), 1);
      toast(`${file.name}: ${problem.words}`, "bad");
    }
    this.draw();
  }

  drop(one) {
    this.kept.splice(this.kept.indexOf(one), 1);
    this.draw();
    this.button.focus();
  }

  draw() {
    this.element.hidden = this.kept.length === 0;
    fill(this.element, this.kept.map((one) => h("li", { class: "file" },
      icon("file"), h("bdi", { class: "name" }, one.name), h("small", {}, fileSize(one.size)),
      one.id ? null : (one.bar = h("progress", { max: "1", value: String(one.share), "aria-label": t("file.sending", { name: one.name }) })),
      h("button", { class: "quiet remove", "aria-label": t("file.remove", { name: one.name }), onclick: () => this.drop(one) }, icon("close")))));
    this.changed();
  }
}
