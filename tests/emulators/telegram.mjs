// telegram-test-api as a Bot API server that is closer to Telegram's. PORT says where.
//
// The bot talks to /botTOKEN/METHOD. A customer acts through POST /sendMessage and /sendCallback with
// `botToken` and reads what the bot said by POST /getUpdatesHistory. These answer before the webhook
// was called, so a test waits until it sees the effect.
import { createRequire } from "node:module";

// Its own express and axios: the same instances that it uses.
const require = createRequire(import.meta.resolve("telegram-test-api"));
const express = require("express");
const axios = require("axios");
const Telegram = require("telegram-test-api");

const server = new Telegram({});

// Telegram answers with the message, and tells dates in seconds; the package answers with whatever was
// sent besides, and tells milliseconds.
const addBotMessage = server.addBotMessage.bind(server);
server.addBotMessage = (...given) => {
  const { message_id, chat, text, entities, reply_markup } = addBotMessage(...given);
  const date = Math.floor(Date.now() / 1000);
  return { message_id, date, chat, text, entities, reply_markup };
};

// A pressed button comes with a chat_instance, which the package leaves out.
const formatUpdate = Telegram.formatUpdate;
Telegram.formatUpdate = (update) => {
  const body = formatUpdate(update);
  if (body.callback_query) body.callback_query.chat_instance = "1";
  return body;
};

// The package sends no secret with a webhook, and dies when the webhook fails.
server.addUserUpdate = async function (update) {
  const hook = this.webhooks[update.botToken];
  this.updateId += 1;
  if (!hook) {
    this.storage.userMessages.push(update);
    return;
  }
  const headers = { "X-Telegram-Bot-Api-Secret-Token": hook.secret_token ?? "" };
  await axios
    .post(hook.url, Telegram.formatUpdate(update), { headers })
    .catch((error) => console.error(error.message));
};

const app = express();

// The package's getMe does not say that it is a bot, which clients need, and its id is not the token's.
app.all("/bot:token/getMe", (request, response) =>
  response.json({
    ok: true,
    result: {
      id: Number(request.params.token.split(":")[0]),
      is_bot: true,
      first_name: "Tandem",
      username: "tandem_test_bot",
    },
  }),
);

// The package knows a bot's webhook and does not tell.
app.all("/bot:token/getWebhookInfo", (request, response) =>
  response.json({
    ok: true,
    result: {
      url: server.webhooks[request.params.token]?.url ?? "",
      has_custom_certificate: false,
      pending_update_count: 0,
    },
  }),
);

// The package answers some calls with no result, and refuses with a 500 that lacks `ok: false`.
app.use((_request, response, next) => {
  const json = response.json.bind(response);
  response.json = (body) => {
    if (body.ok) return json({ ...body, result: body.result ?? true });
    response.status(400);
    return json({ ok: false, error_code: 400, description: body.message });
  };
  next();
});

app.use(server.webServer);
app.listen(Number(process.env.PORT), "127.0.0.1", () => console.log("ready"));
