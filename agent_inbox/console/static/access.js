// Signing in, one-time links, and one's own account.

import { api, get, post } from "./api.js";
import { fill, h, icon, toast } from "./dom.js";
import { ago, currentLanguage, setLanguage, t } from "./words.js";

export function field(label, input, hint) {
  return h("label", { class: "field" }, h("span", {}, label), input, hint && h("small", {}, hint));
}

/** Do `work` when the form is sent; what goes wrong is said in the form. */
export function form(children, work, props = {}) {
  const wrong = h("p", { class: "wrong", role: "alert" });
  const element = h("form", { ...props, onsubmit: submit }, children, wrong);
  async function submit(event) {
    event.preventDefault();
    const button = element.querySelector("button:not([type=button])");
    button.disabled = true;
    fill(wrong);
    try {
      await work(Object.fromEntries(new FormData(element)));
    } catch (problem) {
      if (!problem.kind) throw problem;
      fill(wrong, problem.kind === "weak-password" ? t(`weak.${problem.extra.reason}`) : problem.words);
    } finally {
      button.disabled = false;
    }
  }
  return element;
}

function languageSwitch(change) {
  const other = currentLanguage() === "zh" ? "en" : "zh";
  return h("button", { type: "button", class: "quiet switch", onclick: () => change(other) }, other === "zh" ? "中文" : "English");
}

function gate(title, hint, ...children) {
  return h("main", { class: "gate" },
    h("div", { class: "gate-card" },
      h("div", { class: "brand" }, h("img", { src: "/console/mark.svg", alt: "" }), "Tandem"),
      h("h1", {}, title), hint && h("p", { class: "hint" }, hint), children));
}

export function signInPage(firstRun, enter, changeLanguage) {
  return gate(t("sign_in.title"), firstRun ? t("sign_in.first_run") : null,
    form([
      field(t("sign_in.email"), h("input", { name: "email", type: "email", required: true, autocomplete: "username", autofocus: true })),
      field(t("sign_in.password"), h("input", { name: "password", type: "password", required: true, autocomplete: "current-password" })),
      h("button", { class: "primary" }, t("sign_in.go")),
    ], async (values) => enter((await post("/sign-in", values)).agent)),
    languageSwitch(changeLanguage));
}

/** A one-time link: the first admin says who they are, everybody chooses a password. */
export function welcomePage(token, enter) {
  const page = h("div", { class: "welcome" });
  const draw = (first) => {
    const change = (language) => (setLanguage(language), draw(first));
    fill(page, gate(first ? t("welcome.first") : t("welcome.title"), first ? t("welcome.first_hint") : null,
      form([
        first && field(t("welcome.name"), h("input", { name: "name", required: true, maxlength: "80", autocomplete: "given-name" })),
        first && field(t("sign_in.email"), h("input", { name: "email", type: "email", required: true, autocomplete: "username" })),
        field(t("welcome.password"), h("input", { name: "password", type: "password", required: true, minlength: "12", autocomplete: "new-password" })),
        h("button", { class: "primary" }, t("welcome.go")),
      ], async (values) => {
        const me = await post("/welcome", { token, language: currentLanguage(), ...values });
        history.replaceState(null, "", "#/inbox/queue");
        enter(me.agent);
      }),
      languageSwitch(change)));
  };
  draw(false);
  get("/me").then((me) => draw(me.first_run), () => {});
  return page;
}

export function accountPage({ me, changeLanguage, signOut, flipTheme }) {
  const browsers = h("ul", { class: "browsers" });
  const load = async () => fill(browsers, (await get("/me/browsers")).map((one) => browserRow(one, load)));
  const save = async (values) => {
    const saved = await api("PATCH", "/me", values);
    Object.assign(me, saved);
    toast(t("me.saved"));
    return saved;
  };
  const language = h("select", { name: "language" },
    h("option", { value: "en", selected: me.language === "en" }, "English"),
    h("option", { value: "zh", selected: me.language === "zh" }, "中文"));
  const element = h("main", { class: "page narrow" },
    h("h1", {}, t("me.title")), h("p", { class: "lead" }, me.email),
    h("section", { class: "panel" }, form([
      field(t("welcome.name"), h("input", { name: "name", value: me.name, required: true, maxlength: "80" })),
      field(t("me.language"), language),
      h("div", { class: "actions" }, h("button", { class: "primary" }, t("me.save"))),
    ], async (values) => {
      const saved = await save(values);
      changeLanguage(saved.language);
    })),
    h("section", { class: "panel" }, h("h2", {}, t("me.change")), form([
      h("input", { type: "text", name: "", value: me.email, autocomplete: "username", hidden: true, disabled: true }),
      field(t("me.old"), h("input", { name: "old", type: "password", required: true, autocomplete: "current-password" })),
      field(t("me.new"), h("input", { name: "new", type: "password", required: true, autocomplete: "new-password" })),
      h("div", { class: "actions" }, h("button", { class: "primary" }, t("me.change"))),
    ], async (values) => {
      await post("/me/password", values);
      toast(t("me.changed"));
      load();
    })),
    h("section", { class: "panel" }, h("h2", {}, t("me.browsers")), browsers),
    h("div", { class: "actions out" },
      h("button", { onclick: signOut }, icon("out"), t("nav.sign_out")), h("button", { onclick: flipTheme }, icon("moon"), t("nav.theme"))));
  load().catch((problem) => toast(problem.words, "bad"));
  return { element };
}

function browserRow(one, reload) {
  const end = async () => {
    await api("DELETE", `/me/browsers/${one.id}`);
    reload();
  };
  return h("li", {},
    h("span", {}, shortBrowser(one.browser)), h("small", {}, one.this ? t("me.this") : ago(one.seen_at)),
    !one.this && h("button", { class: "quiet", onclick: end }, t("me.end")));
}

/** "Firefox · Linux" out of what a browser calls itself. */
function shortBrowser(name) {
  const browser = /(Edg|OPR|Firefox|Chrome|Safari)/.exec(name)?.[1] || name.slice(0, 30) || "?";
  const system = /(Windows|Android|iPhone|iPad|Mac OS|Linux)/.exec(name)?.[1];
  return [{ Edg: "Edge", OPR: "Opera" }[browser] || browser, system].filter(Boolean).join(" · ");
}
