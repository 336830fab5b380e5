// One line of the transcript. A note never looks like something the customer can read.

import { h, icon } from "./dom.js";
import { lineFiles, typedText } from "./files.js";
import { whyButton } from "./why.js";
import { clock, reasonWords, t } from "./words.js";

const LINK = /https?:\/\/[^\s<>"'）)】]+/g;

/** `resend`: what a press on Resend does; null where the reader may not. */
export function lineElement(line, me, resend) {
  if (line.mark || (line.author === "system" && !line.note)) return markElement(line, resend);
  const text = typedText(line);
  const kind = line.note ? "note" : line.author;
  return h("article", { class: `line ${kind}${line.author === "agent" && line.author_id === me.id ? " mine" : ""}`, "data-seq": String(line.seq) },
    h("header", {}, line.note && icon("lock"), h("strong", {}, author(line)),
      line.note && h("em", {}, t("line.note_hint")),
      h("time", { datetime: line.created_at, title: new Date(line.created_at).toLocaleString() }, clock(line.created_at)),
      line.edited_at && h("em", {}, t("line.edited")),
      line.withdrawn && h("em", {}, t("line.withdrawn"))),
    h("div", { class: `bubble${line.withdrawn ? " withdrawn" : ""}` },
      line.action && line.author === "customer" ? h("p", { class: "pressed" }, t("line.pressed", { label: line.text })) : text && h("p", { class: "text" }, linked(line)),
      line.attachments.length > 0 && lineFiles(line),
      line.buttons.length > 0 && line.author === "bot" && h("p", { class: "offered" }, line.buttons.map((button) => h("span", {}, button.label)))),
    line.citations.length > 0 && sources(line),
    whyButton(line),
    delivery(line, resend));
}

function author(line) {
  if (line.note) return t("line.note", { name: line.author_name || t("line.system") });
  if (line.author === "agent") return line.author_name || "?";
  return line.author === "bot" ? t("line.bot") : t("line.customer");
}

function markElement(line, resend) {
  const name = line.mark ? t(`mark.${line.mark}`) : null;
  return h("div", { class: `mark ${line.mark || ""}`, "data-seq": String(line.seq) },
    h("span", { class: "rule" }, name && h("b", {}, name), h("time", { datetime: line.created_at }, clock(line.created_at))),
    h("span", { class: "told" }, line.text),
    delivery(line, resend));
}

function sources(line) {
  return h("details", { class: "sources" },
    h("summary", {}, t("line.sources", { count: line.citations.length })),
    h("ol", {}, line.citations.map((one) => h("li", { value: String(one.n) },
      one.url && /^https?:\/\//.test(one.url)
        ? h("a", { href: one.url, target: "_blank", rel: "noopener noreferrer" }, one.title)
        : h("strong", {}, one.title),
      one.source !== one.title && h("small", {}, one.source),
      one.quote && h("blockquote", {}, one.quote)))));
}

function delivery(line, resend) {
  if (line.note || line.author === "customer" || !line.delivery || line.delivery === "delivered") return null;
  const lost = line.delivery === "failed" || line.delivery === "unknown";
  const why = line.delivery === "failed" && line.reason ? t("delivery.why", { why: reasonWords(line.reason) }) : "";
  return h("p", { class: `delivery ${line.delivery}`, title: line.reason || "" },
    h("span", {}, t(`delivery.${line.delivery}`) + why),
    lost && !line.withdrawn && resend && h("button", { class: "resend", onclick: (event) => resend(line, event.currentTarget) }, t("delivery.resend")));
}

/** The text with its addresses as links, and [1] as the number of a source. */
function linked(line) {
  const parts = [];
  let at = 0;
  for (const match of line.text.matchAll(LINK)) {
    parts.push(...numbered(line.text.slice(at, match.index), line));
    parts.push(h("a", { href: match[0], target: "_blank", rel: "noopener noreferrer" }, match[0]));
    at = match.index + match[0].length;
  }
  return [...parts, ...numbered(line.text.slice(at), line)];
}

function numbered(text, line) {
  if (!line.citations.length) return [text];
  return text.split(/(\[\d{1,2}\])/).map((part) => {
    const cited = line.citations.find((one) => part === `[${one.n}]`);
    return cited ? h("sup", { class: "cite", title: cited.title }, String(cited.n)) : part;
  });
}
