// The Team page: who answers customers, for admins.

import { api, get, post } from "./api.js";
import { copy } from "./card.js";
import { fill, h, icon, openDialog, toast } from "./dom.js";
import { field, form } from "./access.js";
import { t } from "./words.js";

export class TeamPage {
  constructor({ me }) {
    this.me = me;
    this.table = h("div", { class: "sources-list" });
    this.element = h("main", { class: "page" },
      h("div", { class: "page-head" }, h("h1", {}, t("team.title")), h("button", { class: "primary", onclick: () => this.add() }, t("team.add"))),
      h("p", { class: "lead" }, t("team.lead")), this.table);
  }

  go() {
    this.load();
  }

  async load() {
    try {
      this.draw(await get("/team"));
    } catch (problem) {
      toast(problem.words, "bad");
    }
  }

  draw(agents) {
    const head = h("thead", {}, h("tr", {}, h("th", {}, t("team.name")), h("th", {}, t("sign_in.email")), h("th", {}, t("team.role")), h("th", {}, t("know.state")), h("th", { class: "tools" })));
    fill(this.table, h("table", {}, head, h("tbody", {}, agents.map((agent) => this.row(agent)))));
  }

  row(agent) {
    const own = agent.id === this.me.id;
    const state = !agent.enabled ? "disabled" : agent.invited ? "invited" : "active";
    const tool = (words, run, danger) => h("button", { class: `quiet${danger ? " danger" : ""}`, onclick: run }, words);
    return h("tr", { class: state },
      h("td", {}, h("strong", {}, agent.name), own && h("small", {}, t("team.you"))),
      h("td", { class: "mail" }, agent.email),
      h("td", {}, t(`team.role.${agent.role}`)),
      h("td", {}, h("span", { class: `chip ${state}` }, t(`team.${state}`))),
      h("td", { class: "tools" }, !own && [
        agent.enabled && tool(t("team.link"), () => this.link(agent)),
        tool(t(agent.role === "admin" ? "team.make_agent" : "team.make_admin"), () => this.change(agent, { role: agent.role === "admin" ? "agent" : "admin" })),
        tool(t(agent.enabled ? "team.disable" : "team.enable"), () => this.change(agent, { enabled: !agent.enabled }), agent.enabled)]));
  }

  async change(agent, what) {
    try {
      await api("PATCH", `/team/${encodeURIComponent(agent.id)}`, what);
    } catch (problem) {
      toast(problem.words, "bad");
    }
    this.load();
  }

  async link(agent) {
    try {
      this.showLink(await post(`/team/${encodeURIComponent(agent.id)}/link`, {}));
    } catch (problem) {
      toast(problem.words, "bad");
    }
  }

  add() {
    const dialog = openDialog(t("team.add"), form([
      field(t("welcome.name"), h("input", { name: "name", required: true, maxlength: "80" })),
      field(t("sign_in.email"), h("input", { name: "email", type: "email", required: true })),
      field(t("team.role"), h("select", { name: "role" }, ["agent", "admin"].map((role) => h("option", { value: role }, t(`team.role.${role}`))))),
      field(t("me.language"), h("select", { name: "language" }, h("option", { value: "en" }, "English"), h("option", { value: "zh" }, "中文"))),
      h("div", { class: "actions" }, h("button", { type: "button", onclick: () => dialog.close() }, t("do.cancel")), h("button", { class: "primary" }, t("do.add"))),
    ], async (values) => {
      const invited = await post("/team", values);
      dialog.close();
      this.load();
      this.showLink(invited);
    }));
  }

  showLink({ agent, path }) {
    const address = location.origin + path;
    const dialog = openDialog(t("team.link_title", { name: agent.name }), h("div", {},
      h("p", {}, t("team.link_hint")),
      h("input", { class: "address", readonly: true, value: address, onfocus: (event) => event.target.select() }),
      h("div", { class: "actions" },
        h("button", { onclick: () => copy(address) }, icon("copy"), t("card.copy")),
        h("button", { class: "primary", onclick: () => dialog.close() }, t("do.close")))));
  }
}
