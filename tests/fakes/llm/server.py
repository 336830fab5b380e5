"""The model as a server: chat completions, embeddings and the list of models."""

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web

from tests.fakes.faults import Answer, Faults
from tests.fakes.llm.embeddings import embedded, inputs_of
from tests.fakes.llm.replies import Reply, refusal
from tests.fakes.llm.requests import Asked, read_json, refuse_chat, refuse_length
from tests.fakes.llm.talking import Talk
from tests.fakes.llm.tokens import count

KEY = "fake-key"
MODEL = "fake-model"
CONTEXT_TOKENS = 8_192
BODY_BYTES_MAX = 16 * 2**20
ORIGIN_S = 1_772_442_000  # `created` of everything: it says nothing

Fits = Callable[[Asked], bool]


class FakeModel:
    """A scripted model. `key` is "" for a server that wants none.

    `faults` may be planned for "chat", "embeddings" and "models"; what goes wrong inside a stream
    is a `Reply.ending`. `asked` is what was understood, in order; `hung_up` is set when a client
    leaves before the end.
    """

    def __init__(self, *, key: str = KEY, context_tokens: int = CONTEXT_TOKENS) -> None:
        self.key = key
        self.context_tokens = context_tokens
        self.faults = Faults()
        self.asked: list[Asked] = []
        self.otherwise: Reply | Callable[[Asked], Reply] | None = None
        self.hung_up = asyncio.Event()
        self._next: list[Reply] = []
        self._rules: list[tuple[Fits, Reply]] = []
        self.app = web.Application(client_max_size=BODY_BYTES_MAX)
        self.app.router.add_post("/v1/chat/completions", self._chat)
        self.app.router.add_post("/v1/embeddings", self._embeddings)
        self.app.router.add_get("/v1/models", self._models)
        self.app.router.add_get("/v1/models/{id}", self._model)

    # The script

    def answer(self, about: str | Fits, reply: Reply) -> None:
        """Say `reply` to questions with `about` in them; the newest rule that fits wins."""
        fits: Fits = (lambda asked: about in asked.question) if isinstance(about, str) else about
        self._rules.insert(0, (fits, reply))

    def then(self, *replies: Reply) -> None:
        """Say these to the next questions, one each, whatever they are about."""
        self._next += replies

    def _reply_to(self, asked: Asked) -> Reply | None:
        if self._next:
            return self._next.pop(0)
        for fits, reply in self._rules:
            if fits(asked):
                return reply
        return self.otherwise(asked) if callable(self.otherwise) else self.otherwise

    # The API

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        if no := self._refuse_caller(request):
            return _answer(no)

        async def talk() -> web.StreamResponse:
            body = read_json(await request.read())
            if isinstance(body, Answer):
                return _answer(body)
            if no := refuse_chat(body) or self._refuse_model(body):
                return _answer(no)
            asked = Asked(request.path, dict(request.headers), body)
            if no := refuse_length(asked, self.context_tokens):
                return _answer(no)
            self.asked.append(asked)
            reply = self._reply_to(asked)
            if reply is None:
                said = f"No answer is scripted for {asked.question!r}."
                return _answer(refusal(404, said, code="not_scripted"))
            talk = Talk(request, asked, reply.within(asked.tokens_max))
            answer = await talk.answer()
            if talk.hung_up:
                self.hung_up.set()
            return answer

        return await self.faults.around(request, "chat", talk)

    async def _embeddings(self, request: web.Request) -> web.StreamResponse:
        if no := self._refuse_caller(request):
            return _answer(no)

        async def embed() -> web.StreamResponse:
            body = read_json(await request.read())
            if isinstance(body, Answer):
                return _answer(body)
            if no := self._refuse_model(body):
                return _answer(no)
            texts = inputs_of(body)
            if isinstance(texts, Answer):
                return _answer(texts)
            self.asked.append(Asked(request.path, dict(request.headers), body))
            encoding = body.get("encoding_format", "float")
            data = [
                {"object": "embedding", "index": n, "embedding": embedded(text, encoding=encoding)}
                for n, text in enumerate(texts)
            ]
            tokens = sum(map(count, texts))
            usage = {"prompt_tokens": tokens, "total_tokens": tokens}
            whole = {"object": "list", "data": data, "model": MODEL, "usage": usage}
            return web.json_response(whole)

        return await self.faults.around(request, "embeddings", embed)

    async def _models(self, request: web.Request) -> web.StreamResponse:
        if no := self._refuse_caller(request):
            return _answer(no)

        async def listed() -> web.StreamResponse:
            return web.json_response({"object": "list", "data": [_card()]})

        return await self.faults.around(request, "models", listed)

    async def _model(self, request: web.Request) -> web.StreamResponse:
        no = self._refuse_caller(request) or self._refuse_model({"model": request.match_info["id"]})
        return _answer(no) if no else web.json_response(_card())

    def _refuse_caller(self, request: web.Request) -> Answer | None:
        if not self.key or request.headers.get("Authorization") == f"Bearer {self.key}":
            return None
        return refusal(401, "Incorrect API key provided.", code="invalid_api_key")

    def _refuse_model(self, body: Any) -> Answer | None:
        if body.get("model") == MODEL:
            return None
        said = f"The model {body.get('model')!r} does not exist."
        return refusal(404, said, code="model_not_found")


def _card() -> dict[str, Any]:
    return {"id": MODEL, "object": "model", "created": ORIGIN_S, "owned_by": "tests"}


def _answer(said: Answer) -> web.Response:
    return web.Response(
        status=said.status, text=said.body, headers=said.headers, content_type=said.content_type
    )
