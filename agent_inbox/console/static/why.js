// Why the bot said a line: what was found, how sure it was, who wrote it. From the answer's record.

import { get } from "./api.js";
import { fill, h, openDialog } from "./dom.js";
import { clock, number, t } from "./words.js";

/** The button under a line of the bot; nothing under a line that has no record. */
export function whyButton(line) {
  if (line.author !== "bot" || !line.record_id) return null;
  return h("button", { class: "why link", onclick: () => show(line.record_id) }, t("why.open"));
}

async function show(id) {
  const body = h("div", { class: "source why" }, h("p", { class: "lead" }, "…"));
  openDialog(t("why.title"), body, { wide: true });
  await load(id, body, false);
}

async function load(id, body, replay) {
  try {
    const told = await get(`/records/${encodeURIComponent(id)}${replay ? "?replay=true" : ""}`);
    fill(body, parts(told, () => load(id, body, true)));
  } catch (problem) {
    fill(body, h("p", { class: "wrong" }, problem.words));
  }
}

function parts(told, replay) {
  const { decision, writing } = told;
  return [
    h("p", { class: "lead" }, h("span", { class: `chip ${decision.action}` }, t(`why.action.${decision.action}`)), ` ${clock(told.created_at)} · ${told.question.text}`),
    facts([
      [t("why.p"), t("why.cuts", { p: share(decision.p), answer: share(decision.t_answer), suggest: share(decision.t_suggest) })],
      [t("why.reasons"), decision.reasons.map((one) => t(`why.reason.${one}`)).join(" · ")],
      [t("why.writer"), t(`why.writer.${writing.writer || "none"}`)],
      writing.restated && [t("why.restated"), writing.restated],
      writing.translated && [t("why.translated"), writing.translated],
      writing.faults.length && [t("why.faults"), writing.faults.join(", ")],
      [t("why.version"), number(told.knowledge_version)],
      [t("why.time"), Object.entries(told.timings_ms).map(([name, ms]) => `${name} ${number(Math.round(ms))} ms`).join(" · ")],
    ]),
    h("h3", {}, t("why.found")),
    told.candidates.length
      ? h("ol", { class: "passages" }, told.candidates.map((one) => h("li", {}, h("small", {}, `${one.title}${one.heading ? ` › ${one.heading}` : ""} (${one.source})`),
        h("p", {}, t("why.scores", { score: one.score.toFixed(2), keyword: one.keyword.toFixed(2), grams: one.grams.toFixed(2), vector: one.vector === null ? "–" : one.vector.toFixed(2) })),
        h("code", {}, one.content_hash.slice(0, 12)))))
      : h("p", { class: "nothing" }, t("why.nothing")),
    writing.calls.length > 0 && [h("h3", {}, t("why.calls")), h("ul", {}, writing.calls.map((one) => h("li", {},
      t("why.call", { prompt: one.prompt, model: one.model || "–", tokens: number(one.prompt_tokens + one.answer_tokens), ms: number(Math.round(one.total_ms)) }),
      one.failure && h("small", { class: "wrong" }, one.failure))))],
    h("details", {}, h("summary", {}, t("why.features")), facts(Object.entries(told.features).map(([name, value]) => [name, value.toFixed(3)]))),
    h("h3", {}, t("why.today")),
    told.replayed
      ? h("ul", {}, (told.differences.length ? told.differences : [t("why.same")]).map((one) => h("li", {}, one)))
      : h("button", { onclick: replay }, t("why.replay")),
  ];
}

const share = (value) => value.toFixed(2);

function facts(pairs) {
  return h("dl", { class: "facts" }, pairs.filter(Boolean).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}
