// The card beside a conversation: the brief in words, and what is known of the person.

import { fill, h, icon, toast } from "./dom.js";
import { fileName, typedText } from "./files.js";
import { accountsPart } from "./people.js";
import { ago, clock, t } from "./words.js";

export class Card {
  constructor(thread) {
    this.thread = thread;
    this.element = h("aside", { class: "card scroll" });
  }

  draw() {
    const { data } = this.thread;
    const found = data.case;
    fill(this.element,
      h("button", { class: "quiet card-close", onclick: () => this.thread.toggleCard(), "aria-label": t("do.close") }, icon("close")),
      found ? this.caseParts(found, data) : h("p", { class: "lead" }, t("card.no_case")),
      !found && section(t("card.known"), this.facts(data, [])),
      section(t("card.accounts"), accountsPart(this.thread)),
      data.earlier.length > 0 && section(t("card.earlier"), h("ul", { class: "earlier-cases" }, data.earlier.map((one) => this.earlier(one)))));
  }

  caseParts(found, data) {
    const { brief } = found;
    return [
      h("header", {},
        h("h2", {}, t("card.case", { number: found.number })),
        h("p", { class: "lead" }, found.closed_at ? outcome(found) : t("card.since", { time: ago(found.opened_at) }),
          found.first_reply_at && ` · ${t("card.first_reply", { time: ago(found.opened_at, found.first_reply_at) })}`)),
      section(t("card.why"), h("ul", { class: "signals" }, found.reasons.map(signal))),
      this.summary(brief.summary),
      section(t("card.wants"), brief.wants.length
        ? h("ul", { class: "quotes" }, brief.wants.map((one) => h("li", {}, quoted(one), this.toLine(one.seq))))
        : h("p", { class: "nothing" }, t("card.nothing_said"))),
      section(t("card.tried"), brief.tried.length
        ? h("ul", { class: "tries" }, brief.tried.map((one) => this.tried(one)))
        : h("p", { class: "nothing" }, t("card.nothing_tried"))),
      section(t("card.known"), this.facts(data, brief.mentions)),
    ];
  }

  /** Three lines that a model wrote, each with the lines it rests on; nothing without one. */
  summary(found) {
    const points = ["wants", "tried", "facts"].filter((name) => found?.[name]);
    return points.length > 0 && section(t("card.summary"), h("ul", { class: "quotes summary" }, points.map((name) =>
      h("li", {}, h("b", {}, t(`summary.${name}`)), ` ${found[name].text} `, found[name].seqs.map((seq) => this.toLine(seq))))));
  }

  tried(one) {
    return h("li", {},
      h("b", { class: one.kind }, t(`tried.${one.kind}`)), this.toLine(one.seq),
      one.helpful !== null && h("span", { class: `chip ${one.helpful ? "good" : "bad"}` }, t(one.helpful ? "card.helpful" : "card.not_helpful")),
      one.kind !== "decline" && h("p", {}, one.text),
      one.sources.length > 0 && h("small", {}, one.sources.join(" · ")));
  }

  facts(data, mentions) {
    const fact = (name, value) => [h("dt", {}, t(`fact.${name}`)), h("dd", {}, value)];
    const accounts = [...new Set(data.accounts.map((one) => one.channel))].join(", ");
    return h("dl", { class: "facts" },
      data.customer && fact("name", data.customer),
      fact("language", t(`language.${data.language}`)), fact("channel", accounts || data.channel),
      mentions.map((one) => fact(one.kind, h("button", { class: "copy", title: t("card.copy"), onclick: () => copy(one.text) }, one.text, icon("copy")))));
  }

  earlier(one) {
    return h("li", {},
      h("a", { href: `#/inbox/all/${one.conversation_id}` }, t("card.case", { number: one.number })),
      h("span", {}, outcome(one), one.topic && ` · ${one.topic}`), h("time", {}, clock(one.closed_at || one.opened_at)));
  }

  toLine(seq) {
    return h("button", { class: "seq", onclick: () => this.thread.toLine(seq) }, `#${seq}`);
  }
}

/** What was said, and what came along. A brief of earlier times knows of no files. */
function quoted(one) {
  const attachments = one.files || [];
  return [typedText({ text: one.text, attachments }), attachments.map((file) => h("span", { class: "chip" }, icon(file.kind === "image" ? "image" : "file"), fileName(file)))];
}

function section(title, ...children) {
  return h("section", {}, h("h3", {}, title), children);
}

function signal(reason) {
  const evidence = reason.evidence && reason.evidence !== "button" ? reason.evidence : "";
  return h("li", { class: reason.name }, t(`signal.${reason.name}`), evidence && h("small", {}, reason.name === "asked" ? `“${evidence}”` : evidence));
}

function outcome(one) {
  return t(`outcome.${one.outcome || "none"}`);
}

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast(t("card.copied"));
  } catch {
    // Over plain http browsers keep the clipboard to themselves: the text can be selected by hand.
  }
}
