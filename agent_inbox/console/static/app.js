// The console's frame: who is signed in, which page is open, and the keys that work everywhere.

import { accountPage, signInPage, welcomePage } from "./access.js";
import { get, post, whenSignedOut } from "./api.js";
import { fill, h, icon, isTyping, openDialog, toast } from "./dom.js";
import { Inbox } from "./inbox.js";
import { KnowledgePage } from "./knowledge.js";
import { Live } from "./live.js";
import { TeamPage } from "./team.js";
import { currentLanguage, preferredLanguage, setLanguage, t } from "./words.js";

const root = document.getElementById("app");
const state = { me: null, live: null, page: null, online: true };

function applyTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}

function flipTheme() {
  const dark = document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  const theme = dark ? "light" : "dark";
  localStorage.setItem("tandem-theme", theme);
  applyTheme(theme);
}

async function start() {
  applyTheme(localStorage.getItem("tandem-theme"));
  setLanguage(preferredLanguage());
  whenSignedOut(() => state.me && leave());
  addEventListener("hashchange", route);
  addEventListener("keydown", keys);
  try {
    const me = await get("/me");
    state.firstRun = me.first_run;
    if (me.agent) enter(me.agent);
    else route();
  } catch (problem) {
    toast(problem.words, "bad");
    setTimeout(start, 3000);
  }
}

function enter(agent) {
  state.me = agent;
  state.firstRun = false;
  setLanguage(agent.language);
  state.live?.close();
  state.live = new Live({
    onChange: () => state.page?.refresh?.(),
    onTyping: (frame) => state.page?.typing?.(frame),
    onState: (online) => {
      state.online = online;
      document.body.classList.toggle("offline", !online);
    },
  });
  if (location.hash.startsWith("#/welcome")) location.hash = "#/inbox/queue";
  route();
}

function leave() {
  state.live?.close();
  Object.assign(state, { me: null, live: null });
  state.page?.close?.();
  state.page = null;
  route();
}

async function signOut() {
  try {
    await post("/sign-out", {});
  } finally {
    leave();
  }
}

function route() {
  const [, page = "", ...rest] = location.hash.split("/");
  if (page === "welcome") return show(welcomePage(rest[0], enter));
  if (!state.me) return show(signInPage(state.firstRun, enter, changeLanguage));
  if (page === "inbox" && state.page instanceof Inbox && state.page.isOpen) return state.page.go(rest);
  state.page?.close?.();
  state.page = makePage(page, rest);
  if (!state.page) return (location.hash = "#/inbox/queue");
  show(frame(page, state.page));
  state.page.go?.(rest);
}

function makePage(page) {
  const context = { me: state.me, live: state.live, changeLanguage, signOut, flipTheme };
  if (page === "inbox") return new Inbox(context);
  if (page === "knowledge") return new KnowledgePage(context);
  if (page === "team" && state.me.role === "admin") return new TeamPage(context);
  if (page === "account") return accountPage(context);
  return null;
}

function changeLanguage(language) {
  setLanguage(language);
  route();
}

function show(element) {
  document.title = "Tandem";
  fill(root, element);
}

function frame(current, page) {
  const link = (name, picture, target) =>
    h("a", { href: target, class: current === name ? "current" : "", "aria-current": current === name ? "page" : null },
      icon(picture), h("span", {}, t(`nav.${name}`)));
  return h("div", { class: "frame" },
    h("nav", { class: "rail", "aria-label": "Tandem" },
      h("img", { src: "/console/mark.svg", alt: "Tandem", class: "mark" }),
      link("inbox", "inbox", "#/inbox/queue"),
      link("knowledge", "book", "#/knowledge"),
      state.me.role === "admin" && link("team", "team", "#/team"),
      h("span", { class: "gap" }),
      h("button", { onclick: flipTheme, class: "quiet", title: t("nav.theme"), "aria-label": t("nav.theme") }, icon("moon")),
      h("button", { onclick: showKeys, class: "quiet keys", title: t("nav.keys"), "aria-label": t("nav.keys") }, icon("keys")),
      link("account", "user", "#/account"),
      h("button", { onclick: signOut, class: "quiet", title: t("nav.sign_out"), "aria-label": t("nav.sign_out") }, icon("out"))),
    h("div", { class: "connection", role: "status" }, t("nav.offline")),
    page.element);
}

function keys(event) {
  if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey || !state.me) return;
  if (event.key === "?") return showKeys();
  if (state.page?.key?.(event.key)) event.preventDefault();
}

function showKeys() {
  const rows = [["j k", "jk"], ["c", "c"], ["r", "r"], ["n", "n"], ["b", "b"], ["e", "e"], ["Ctrl+Enter", "send"], ["?", "help"]];
  const dialog = openDialog(t("keys.title"), h("div", {},
    h("dl", { class: "keylist" }, rows.map(([key, name]) => [
      h("dt", {}, key.split(" ").map((one) => h("kbd", {}, one))), h("dd", {}, t(`keys.${name}`))])),
    h("div", { class: "actions" }, h("button", { class: "primary", onclick: () => dialog.close() }, t("do.close")))));
}

document.documentElement.dataset.language = currentLanguage();
start();
