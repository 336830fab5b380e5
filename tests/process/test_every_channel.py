"""One `tandem serve` with its channels turned on by their tokens alone, as an operator would."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from storage.ids import utc_now
from tests.fakes.serving import served
from tests.fakes.slack import APP_TOKEN, BOT_TOKEN, Acts, SlackServer
from tests.fakes.telegram import TOKEN, Telegram
from tests.process.documents import RETURNS, add, until_live
from tests.process.server import PATIENCE_S, Deployment, Process, deployed, until

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

T = TypeVar("T")
CHINESE = """# 退货

## 台灯可以在多少天内退货？

台灯可以在收到后三十天内连同包装盒一起退货。

## 退货的邮费由谁承担？

退货的邮费由商店承担，请在订单页面打印标签。
""".encode()
LOOK_S = 0.05


async def seen(find: Callable[[], T], what: str) -> T:
    """The first true value of `find`, while the fakes go on in this very loop."""
    async with asyncio.timeout(PATIENCE_S):
        while not (found := find()):  # noqa: ASYNC110 - the server is another process
            await asyncio.sleep(LOOK_S)
    assert found, what
    return found


class Shop:
    """A deployment between a Telegram and a Slack of our own."""

    def __init__(self, deployment: Deployment, telegram: Telegram, slack: SlackServer) -> None:
        self.deployment = deployment
        self.telegram = telegram
        self.slack = slack
        self.acts = Acts(slack)
        self.server: Process | None = None

    async def open(self, **settings: str) -> None:
        """Serve, with a librarian that knows about returns in two languages."""

        def start() -> None:
            self.deployment.librarian()
            for name, content in (("returns.md", RETURNS), ("退货.md", CHINESE)):
                add(self.deployment, name, content)
                until_live(self.deployment, name)
            settled = self.deployment.librarian_state
            until(lambda: settled().get("settled"), "the calibration for both documents")
            self.server = self.deployment.serve("--gateway-only", **settings)

        await asyncio.to_thread(start)

    def answers(self) -> dict[str, dict[str, Any]]:
        """The bot's newest answer on each channel, with the record behind it."""
        lines = self.deployment.rows(
            "SELECT channel, text, citations, reply_kind, record_id FROM message"
            " WHERE author = 'bot' ORDER BY id"
        )
        return {line["channel"]: dict(line) | self._record(line["record_id"]) for line in lines}

    def _record(self, record_id: str) -> dict[str, Any]:
        [row] = self.deployment.rows(
            "SELECT features, decision, chunk_hashes, knowledge_version FROM record WHERE id = ?",
            record_id, store="knowledge",
        )  # fmt: skip
        return dict(row)

    async def ask_on_the_web(self, text: str) -> None:
        async with httpx.AsyncClient(base_url=self.deployment.url, trust_env=False) as client:
            token = (await client.post("/chat/sessions", json={})).json()["token"]
            body = {"client_message_id": "q1", "text": text}
            signed = {"Authorization": f"Bearer {token}"}
            assert (await client.post("/chat/messages", json=body, headers=signed)).is_success

    async def health(self) -> dict[str, str]:
        return await asyncio.to_thread(self.deployment.health)


@asynccontextmanager
async def shop_in(folder: Path) -> AsyncGenerator[Shop]:
    telegram, slack = Telegram(utc_now), SlackServer(clock=utc_now)
    async with telegram.served() as telegram_url, served(slack.app) as slack.url:
        settings = {
            "RAG__INDEX__KIND": "memory",
            "CHANNELS__TELEGRAM__TOKEN": TOKEN, "CHANNELS__TELEGRAM__API_URL": telegram_url,
            "CHANNELS__SLACK__BOT_TOKEN": BOT_TOKEN, "CHANNELS__SLACK__APP_TOKEN": APP_TOKEN,
            "CHANNELS__SLACK__API_URL": slack.api_url,
        }  # fmt: skip
        with deployed(folder, **settings) as deployment:
            yield Shop(deployment, telegram, slack)
            await asyncio.to_thread(deployment.clean_up)


QUESTIONS = (
    ("How long can I return a lamp?", "30 days", "answer"),
    ("台灯可以在多少天内退货？", "三十天", "answer"),
    ("What is the capital of Peru?", "", "decline"),
)


async def test_the_same_question_gets_the_same_answer_on_every_channel(tmp_path: Path) -> None:
    """Web, Telegram and Slack, English and Chinese: the same evidence, decision and text, and each
    customer reads it."""
    async with shop_in(tmp_path) as shop:
        await shop.open()
        await shop.slack.lines.until(lambda lines: lines.count == 1)
        found = {question: await _asked_everywhere(shop, question) for question, *_ in QUESTIONS}

    for question, words, action in QUESTIONS:
        web, telegram, slack = (found[question][name] for name in ("web", "telegram", "slack"))
        assert words in web["text"]
        assert web == telegram == slack
        assert json.loads(web["decision"])["action"] == action


async def _asked_everywhere(shop: Shop, question: str) -> dict[str, dict[str, Any]]:
    """A new customer on each channel asks; what each was answered, once they have read it."""
    mia, ann = shop.telegram.customer(), shop.acts.person("Ann")
    before = shop.answers()
    await shop.ask_on_the_web(question)
    mia.write(question)
    await shop.acts.say(ann, question)

    def all_new() -> bool:
        now = shop.answers()
        return len(now) == 3 and all(now[name] != before.get(name) for name in now)

    await seen(all_new, "three answers")
    answers, home = shop.answers(), shop.acts.workspace.direct(ann)
    text = answers["web"]["text"]
    await seen(lambda: any(text in line for line in mia.heard()), "Mia reads it")
    await seen(lambda: any(text in line for line in shop.acts.texts(home)), "Ann reads it")
    return {
        name: {key: value for key, value in answer.items() if key not in ("channel", "record_id")}
        for name, answer in answers.items()
    }


async def test_a_refused_token_pauses_its_channel_and_no_other(tmp_path: Path) -> None:
    """Telegram's token is wrong: health names it, and a question on Slack is answered."""
    async with shop_in(tmp_path) as shop:
        await shop.open(CHANNELS__TELEGRAM__TOKEN="700100200:AAWrongWrongWrongWrongWrongWrong_12")
        ann = shop.acts.person("Ann")
        await shop.slack.lines.until(lambda lines: lines.count == 1)
        await shop.acts.say(ann, "How long can I return a lamp?")
        answers = await seen(shop.answers, "an answer")
        health = await shop.health()
        log = shop.server.log if shop.server else ""

    assert "30 days" in answers["slack"]["text"]
    assert "token" in health["telegram"]
    assert health["slack"] == "ok"
    assert "AAWrong" not in log
    assert "xoxb-" not in log
    assert "xapp-" not in log
