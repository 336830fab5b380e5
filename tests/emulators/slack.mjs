// emulate's Slack with its Events API pointed at us. PORT is where slack_sdk asks
// (http://127.0.0.1:PORT/api/), PORT + 1 is emulate itself, HOOK is where events go, SEED is the file
// with team, signing_secret, users, channels, bots and tokens.
import http from "node:http";
import { readdirSync, readFileSync } from "node:fs";
import { createEmulator } from "emulate";

const port = Number(process.env.PORT);
const seed = JSON.parse(readFileSync(process.env.SEED, "utf8")); // its first token is the bot's

// The package has no public way to subscribe to events: its plugin is handed the list of webhooks
// when it registers, so we listen in there. The plugin's bundle is found by what only it contains.
const dist = new URL("./node_modules/emulate/dist/", import.meta.url);
const bundle = readdirSync(dist).find(
  (name) =>
    name.endsWith(".js") && /views\.generateTriggerId/.test(readFileSync(new URL(name, dist))),
);
const { slackPlugin: plugin } = await import(new URL(bundle, dist));
const register = plugin.register;
let hooks;
plugin.register = function (app, store, webhooks, ...rest) {
  hooks = webhooks;
  return register.call(this, app, store, webhooks, ...rest);
};

await createEmulator({
  service: "slack",
  port: port + 1,
  seed: { slack: seed },
});

// Slack says with each event for whom it is, and what kind of place it happened in. The package does
// not, and without it nobody can tell our own posts from a person's.
const bot = await fetch(`http://127.0.0.1:${port + 1}/api/auth.test`, {
  method: "POST",
  headers: { Authorization: `Bearer ${seed.tokens[0].token}` },
}).then((answer) => answer.json());
const authorizations = [{ team_id: bot.team_id, user_id: bot.user_id, is_bot: true }];
const kinds = { C: "channel", D: "im", G: "group" };
const dispatch = hooks.dispatch.bind(hooks);
hooks.dispatch = (name, action, payload, ...rest) => {
  const event = { channel_type: kinds[payload.event?.channel?.[0]], ...payload.event };
  return dispatch(name, action, { ...payload, authorizations, event }, ...rest);
};
hooks.register({ url: process.env.HOOK, events: ["*"], active: true, owner: "slack" });

// slack_sdk reads by GET with a query, and posts some calls with a query and no body, which Slack
// takes; the package knows POST with a form alone.
function hasOnlyQuery(request, url) {
  if (!url.pathname.startsWith("/api/")) return false;
  return request.method === "GET" || (url.search !== "" && !Number(request.headers["content-length"]));
}

function translated(request, url) {
  const form = url.search.slice(1);
  return {
    method: "POST",
    path: url.pathname,
    headers: {
      ...request.headers,
      "content-type": "application/x-www-form-urlencoded",
      "content-length": Buffer.byteLength(form),
    },
    form,
  };
}

http
  .createServer((request, response) => {
    const url = new URL(request.url, "http://127.0.0.1");
    const { form, ...asked } = hasOnlyQuery(request, url)
      ? translated(request, url)
      : { method: request.method, path: request.url, headers: request.headers };
    const onward = http.request({ host: "127.0.0.1", port: port + 1, ...asked }, (answer) =>
      answer.pipe(response.writeHead(answer.statusCode, answer.headers)),
    );
    onward.on("error", () => response.destroy());
    if (form !== undefined) onward.end(form);
    else request.pipe(onward);
  })
  .listen(port, "127.0.0.1", () => console.log("ready"));
