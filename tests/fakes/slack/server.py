"""The Web API over HTTP: tokens, scopes, rate limits, faults, and then the method itself."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from aiohttp import web

from tests.fakes.faults import Faults
from tests.fakes.slack import asking, posting
from tests.fakes.slack.events import Events
from tests.fakes.slack.filing import Filing
from tests.fakes.slack.limits import Limits
from tests.fakes.slack.line import Lines
from tests.fakes.slack.posting import Refusal
from tests.fakes.slack.workspace import BOT, BOT_USER, TEAM, Json, Workspace

BOT_TOKEN = "xoxb-1111-2222-fakefakefakefake"
APP_TOKEN = "xapp-1-A0TANDEM0-3333-fakefakefakefake"
SIGNING_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
SCOPES = (
    "app_mentions:read channels:history channels:join channels:read chat:write files:read"
    " files:write groups:history im:history im:write metadata.message:read reactions:write"
    " users:read users:read.email"
)
# What each method needs of the bot, and how often it may be called.
METHODS: dict[str, tuple[tuple[str, ...], str]] = {
    "auth.test": ((), "special"),
    "apps.connections.open": ((), "special"),
    "chat.postMessage": (("chat:write",), "post"),
    "chat.update": (("chat:write",), "tier3"),
    "chat.delete": (("chat:write",), "tier3"),
    "conversations.history": ((), "tier3"),
    "conversations.replies": ((), "tier3"),
    "conversations.info": (("channels:read",), "tier3"),
    "conversations.join": (("channels:join",), "tier3"),
    "conversations.open": (("im:write",), "tier3"),
    "users.info": (("users:read",), "tier4"),
    "reactions.add": (("reactions:write",), "tier3"),
    "reactions.remove": (("reactions:write",), "tier2"),
    "files.getUploadURLExternal": (("files:write",), "tier4"),
    "files.completeUploadExternal": (("files:write",), "tier4"),
    "files.info": (("files:read",), "tier4"),
}


@dataclass
class Call:
    """A call as it came."""

    method: str
    values: Json
    token: str


@dataclass
class SlackServer:
    """A workspace with one app in it. `url` is set by whoever serves `app`."""

    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    scopes: set[str] = field(default_factory=lambda: set(SCOPES.split()))
    token_error: str = ""  # e.g. "token_revoked"
    url: str = ""

    def __post_init__(self) -> None:
        self.workspace = Workspace(self.clock)
        self.faults = Faults()
        self.limits = Limits(self.workspace.now_s)
        self.calls: list[Call] = []
        self.events = Events(self.workspace, SIGNING_SECRET)
        self.lines = Lines()
        self.events.lines = self.lines
        self.filing = Filing(self)
        self.app = web.Application(client_max_size=50_000_000)
        self.app.router.add_route("*", "/api/{method}", self._api)
        self.app.router.add_get("/link", self.lines.serve)
        self.filing.add_routes(self.app.router)
        self.app.on_cleanup.append(self.events.close)

    @property
    def api_url(self) -> str:
        return f"{self.url}/api/"

    def called(self, method: str) -> list[Json]:
        """The values of each call of a method, in order."""
        return [call.values for call in self.calls if call.method == method]

    async def _api(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        values = await _values(request)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        token = str(values.pop("token", "") or token)
        self.calls.append(Call(method, values, token))

        async def call() -> web.StreamResponse:
            return await self._answered(method, values, token)

        return await self.faults.around(request, method, call)

    async def _answered(self, method: str, values: Json, token: str) -> web.StreamResponse:
        headers = {"Date": format_datetime(self.clock(), usegmt=True)}
        if method not in METHODS:
            return web.json_response({"ok": False, "error": "unknown_method"}, headers=headers)
        needed, tier = METHODS[method]
        try:
            self._check_token(method, token)
            headers["x-oauth-scopes"] = ",".join(sorted(self.scopes))
            for scope in needed:
                if scope not in self.scopes:
                    provided = headers["x-oauth-scopes"]
                    raise Refusal("missing_scope", needed=scope, provided=provided)
            if tier != "special":
                channel = str(values.get("channel", ""))
                if wait_s := self.limits.wait_s(method, tier, channel):
                    return web.json_response(
                        {"ok": False, "error": "ratelimited"}, status=429,
                        headers={**headers, "Retry-After": str(max(1, round(wait_s)))},
                    )  # fmt: skip
            answer = await self._do(method, values)
        except Refusal as refusal:
            answer = refusal.answer
        return web.json_response({"ok": True, **answer}, headers=headers)

    def _check_token(self, method: str, token: str) -> None:
        if self.token_error:
            raise Refusal(self.token_error)
        if token != (APP_TOKEN if method == "apps.connections.open" else BOT_TOKEN):
            raise Refusal("invalid_auth" if token else "not_authed")

    async def _do(self, method: str, values: Json) -> Json:
        match method.split("."):
            case ["auth", "test"]:
                return {"url": "https://tandem.slack.example/", "team": "Tandem",
                        "user": "tandem", "team_id": TEAM, "user_id": BOT_USER,
                        "bot_id": BOT}  # fmt: skip
            case ["apps", "connections", "open"]:
                return {"url": f"{self.url.replace('http', 'ws', 1)}/link?ticket=secret-ticket"}
            case ["chat", _]:
                return await self._chat(method, values)
            case ["conversations", verb]:
                return self._conversation(verb, values)
            case ["users", "info"]:
                return {"user": asking.person(self.workspace, values, self.scopes)}
            case ["reactions", _]:
                return {}
            case _:
                return await self.filing.do(method, values)

    async def _chat(self, method: str, values: Json) -> Json:
        if method == "chat.postMessage":
            place, message = posting.post(self.workspace, values)
            await self.events.posted(place, message)
            return {"channel": place.id, "ts": message["ts"], "message": message}
        if method == "chat.update":
            place, before, message = posting.update(self.workspace, values)
            await self.events.changed(place, before, message)
            return {"channel": place.id, "ts": message["ts"], "text": message["text"]}
        place, message = posting.delete(self.workspace, values)
        await self.events.deleted(place, message)
        return {"channel": place.id, "ts": message["ts"]}

    def _conversation(self, verb: str, values: Json) -> Json:
        match verb:
            case "history":
                return asking.history(self.workspace, values, self.scopes)
            case "replies":
                return asking.replies(self.workspace, values, self.scopes)
            case "join":
                return {"channel": asking.join(self.workspace, values)}
            case "open":
                return {"channel": asking.open_direct(self.workspace, values)}
            case _:
                return {"channel": asking.info(self.workspace, values)}


async def _values(request: web.Request) -> Json:
    """What a call says: in its address, as a form or as JSON. Nested values of a form are JSON."""
    values: Json = dict(request.query)
    if request.content_type == "application/json" and request.can_read_body:
        values |= await request.json()
    elif request.method == "POST":
        values |= {name: str(value) for name, value in (await request.post()).items()}
    for name in ("blocks", "files", "metadata"):
        if isinstance(values.get(name), str):
            values[name] = json.loads(values[name])
    return values


def refused(code: str, **more: Any) -> str:
    """An `ok: false` as text, for a planned `Answer`."""
    return json.dumps({"ok": False, "error": code, **more})
