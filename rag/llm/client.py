"""Any OpenAI-compatible service as a language model: `/chat/completions`, streamed.

No proxy, no redirect, no retry but one; the key is in a header and in nothing else. Every way
in which a service can fail becomes a leaf of ModelUnavailable within the deadlines.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field

import httpx
import structlog

from rag.errors import ModelBroken, ModelBusy, ModelRefused, ModelSlow, ModelUnavailable
from rag.llm import wire
from rag.ports import ModelLimits, ModelMessage, ModelUse
from rag.retrieve import Breaker
from rag.tokens import estimate_tokens

log = structlog.get_logger()

TROUBLE_S = 300.0  # that a failure counts for health, if nobody asks again


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLimits:
    """Of the calls to one service."""

    calls_max: int = 16  # at once; the next one is refused
    connect_wait_s: float = 5.0
    retry_wait_s_max: float = 5.0  # a longer Retry-After is not waited for
    rest_s: float = 2.0  # of a model that failed; doubled by each further failure
    rest_s_max: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where models are asked. `names` in the order in which they stand in for each other; none:
    the first that the service lists."""

    url: str
    key: str = field(default="", repr=False)
    names: tuple[str, ...] = ()


@dataclass(slots=True)
class _Stretch:
    """One attempt's clock: when it must have said something, and what it said so far."""

    limits: ModelLimits
    ends_at: float
    began: float = field(default_factory=time.monotonic)
    heard_at: float | None = None
    text: str = ""
    finish: str = ""
    done: bool = False
    tokens: tuple[int, int] | None = None

    @property
    def due(self) -> float:
        """Until when the next piece must be there."""
        first = self.began + self.limits.first_token_wait_s
        next_piece = first if self.heard_at is None else self.heard_at + self.limits.idle_wait_s
        return min(next_piece, self.ends_at)

    def take(self, said: wire.Heard) -> str:
        self.finish = said.finish or self.finish
        self.done = self.done or said.done
        self.tokens = said.tokens or self.tokens
        fresh = said.text if self.text else said.text.lstrip()
        if fresh:
            self.heard_at = time.monotonic()
            self.text += fresh
            if estimate_tokens(self.text) > 4 * self.limits.answer_tokens_max:
                raise ModelBroken("it does not end")
        return fresh


class OpenAICompatible:
    """`rag.ports.LanguageModel` over HTTP. Safe for any number of calls at once; `close` it."""

    def __init__(self, endpoint: Endpoint, limits: CallLimits | None = None) -> None:
        self._limits = limits or CallLimits()
        self._names = list(endpoint.names)
        self._rests: dict[str, Breaker] = {}
        self._dialects: dict[str, wire.Dialect] = {}
        self._calls = 0
        self._failed_at = 0.0
        headers = {"accept-encoding": "identity"}
        if endpoint.key:
            headers["authorization"] = f"Bearer {endpoint.key}"
        self._http = httpx.AsyncClient(
            base_url=endpoint.url.rstrip("/") + "/", headers=headers, trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(None, connect=self._limits.connect_wait_s),
            limits=httpx.Limits(max_connections=self._limits.calls_max + 1),
        )  # fmt: skip

    async def close(self) -> None:
        await self._http.aclose()

    @property
    def trouble(self) -> str:
        """Why no model answered lately; empty while one does, or none was asked for a while."""
        reasons = [self._rest(name).reason for name in self._names or [""]]
        is_fresh = time.monotonic() - self._failed_at < TROUBLE_S
        return reasons[0] if all(reasons) and is_fresh else ""

    async def complete(
        self, messages: Sequence[ModelMessage], limits: ModelLimits
    ) -> AsyncGenerator[str | ModelUse]:
        """The answer of the first model that gives one. The next one, or the only one once more,
        is asked only while nothing was said."""
        with self._slot():
            ends_at = time.monotonic() + limits.total_wait_s
            names = await self._known(ends_at)
            failure: ModelUnavailable | None = None
            for at, name in enumerate(names + names[: len(names) == 1]):
                if at == len(names) and not await self._again(failure, ends_at):
                    break
                if at < len(names) and self._rest(name).is_open:
                    continue
                stretch = _Stretch(limits, ends_at)
                try:
                    async with aclosing(self._attempt(name, messages, stretch)) as pieces:
                        async for piece in pieces:
                            yield piece
                except ModelUnavailable as error:
                    failure = self._note(name, error, limits)
                    if stretch.text:
                        raise
                else:
                    self._rest(name).succeed()
                    return
            raise failure or ModelUnavailable(f"left alone for a while: {self.trouble}")

    async def _again(self, failure: ModelUnavailable | None, ends_at: float) -> bool:
        """Whether the only model is to be tried once more; waits for as long as it asked to."""
        if failure is None or isinstance(failure, ModelRefused):
            return False
        wait_s = failure.wait_s if isinstance(failure, ModelBusy) else 0.0
        if wait_s > self._limits.retry_wait_s_max or time.monotonic() + wait_s >= ends_at:
            return False
        await asyncio.sleep(wait_s)
        return True

    @contextmanager
    def _slot(self) -> Generator[None]:
        if self._calls >= self._limits.calls_max:
            raise ModelBusy("too many calls at once")
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1

    def _rest(self, name: str) -> Breaker:
        return self._rests.setdefault(name, Breaker(self._limits.rest_s, self._limits.rest_s_max))

    def _note(self, name: str, error: ModelUnavailable, limits: ModelLimits) -> ModelUnavailable:
        log.warning("model_failed", model=name, kind=type(error).__name__, reason=str(error))
        is_chance = isinstance(error, ModelSlow) and limits.hurried
        if not isinstance(error, ModelBroken) and not is_chance:
            self._rest(name).fail(str(error))
            self._failed_at = time.monotonic()
        return error

    async def _known(self, ends_at: float) -> list[str]:
        if not self._names:
            self._names = [await self._first_listed(ends_at)]
        return self._names

    async def _first_listed(self, ends_at: float) -> str:
        rest = self._rest("")
        if rest.is_open:
            raise ModelUnavailable(f"left alone for a while: {rest.reason}")
        try:
            with _mapped():
                async with _until(ends_at), self._http.stream("GET", "models") as response:
                    body = await _some(response, wire.LINE_BYTES_MAX)
            if response.status_code != 200:
                raise wire.refusal(response.status_code, response.headers.get("retry-after"))
            return wire.first_model(body)
        except ModelUnavailable as error:
            rest.fail(str(error))
            self._failed_at = time.monotonic()
            raise

    async def _attempt(
        self, name: str, messages: Sequence[ModelMessage], stretch: _Stretch
    ) -> AsyncGenerator[str | ModelUse]:
        """One model's answer. A request that it does not understand is put in other words."""
        while True:
            dialect = self._dialects.get(name, wire.Dialect())
            body = wire.request_body(name, messages, stretch.limits, dialect)
            request = self._http.build_request("POST", "chat/completions", json=body)
            with _mapped():
                async with _until(stretch.due):
                    response = await self._http.send(request, stream=True)
            try:
                if response.status_code == 200:
                    async with aclosing(_texts(response, stretch)) as texts:
                        async for text in texts:
                            yield text
                    wire.check_whole(stretch.text, stretch.finish, done=stretch.done)
                    yield _use(name, messages, stretch)
                    return
                other = await _other_words(response, dialect, stretch.due)
            finally:
                await response.aclose()
            if other is None:
                raise wire.refusal(response.status_code, response.headers.get("retry-after"))
            self._dialects[name] = other


async def _texts(response: httpx.Response, stretch: _Stretch) -> AsyncGenerator[str]:
    """The pieces of an answer, each within its deadline."""
    lines = wire.Lines()
    arriving = response.aiter_bytes()
    while True:
        with _mapped():
            if time.monotonic() > stretch.due:  # what is always there never waits
                raise TimeoutError
            async with _until(stretch.due):
                data = await anext(arriving, b"")
        for line in lines.feed(data) if data else lines.rest():
            said = wire.heard(line)
            if said is not None and (text := stretch.take(said)):
                yield text
            if stretch.done:
                return
        if not data:
            return


async def _other_words(
    response: httpx.Response, dialect: wire.Dialect, due: float
) -> wire.Dialect | None:
    """How to ask a service that refused a parameter; None if it refused something else."""
    if response.status_code not in (400, 422):
        return None
    with _mapped():
        async with _until(due):
            problem = await _some(response, wire.PROBLEM_BYTES_MAX)
    return dialect.understood(problem)


async def _some(response: httpx.Response, bytes_max: int) -> bytes:
    body = b""
    async for data in response.aiter_bytes():
        body += data
        if len(body) > bytes_max:
            break
    return body[:bytes_max]


def _use(name: str, messages: Sequence[ModelMessage], stretch: _Stretch) -> ModelUse:
    prompt = sum(estimate_tokens(message.content) for message in messages)
    tokens = stretch.tokens or (prompt, estimate_tokens(stretch.text))
    now = time.monotonic()
    return ModelUse(
        model=name,
        prompt_tokens=tokens[0],
        answer_tokens=tokens[1],
        first_token_ms=round(((stretch.heard_at or now) - stretch.began) * 1000, 1),
        total_ms=round((now - stretch.began) * 1000, 1),
    )


def _until(due: float) -> asyncio.Timeout:
    """A deadline in the time of `time.monotonic`."""
    return asyncio.timeout(max(0.0, due - time.monotonic()))


@contextmanager
def _mapped() -> Generator[None]:
    """What httpx raises, as ours. Its texts may hold the address, so they are left out."""
    try:
        yield
    except TimeoutError:
        raise ModelSlow("it did not answer in time") from None
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise ModelUnavailable(f"it cannot be reached ({type(error).__name__})") from None
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
        raise ModelUnavailable(f"the connection failed ({type(error).__name__})") from None
