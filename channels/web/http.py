"""The chat over HTTP: start a session, post a message, read what is new."""

import math
from collections.abc import Sequence
from typing import Annotated, Any

from litestar import Request, Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import JSONBody, QueryParameter
from litestar.types import ControllerRouterHandler

from channels.web import files
from channels.web.chat import Chat, News, Position
from channels.web.door import (
    OriginGuard,
    address_of,
    bearer,
    body_check,
    on_error,
)
from channels.web.fields import (
    ItemsRead,
    MessagePosted,
    MessageTaken,
    SessionAsked,
    SessionMade,
    cleaned,
    shown,
)
from channels.web.problems import Problem, responses
from channels.web.sessions import Asked
from channels.web.socket import chat_socket
from gateway.contacts import KnownVisitor
from rag.types import Language
from storage.text import UnstorableText

AnyRequest = Request[Any, Any, Any]
BODY_PROBLEMS = ("bad-json", "foreign-origin", "too-slow", "too-large", "not-json", "invalid")
BEARER: list[dict[str, list[str]]] = [{"visitor": []}]


@post(
    "/sessions",
    summary="Start a session",
    description=(
        "A visitor's token: keep it, it is shown once. Its first message opens the talk. Whoever "
        "has a session already sends its token along with `identity` or `code`: the answer's takes "
        "its place."
    ),
    responses=responses(
        *BODY_PROBLEMS,
        "identity-refused",
        "bad-identity",
        "link-spent",
        "cannot-join",
        "too-many",
        "unavailable",
    ),
    tags=["chat"],
)
async def start_session(
    request: AnyRequest, data: JSONBody[SessionAsked], chat: NamedDependency[Chat]
) -> SessionMade:
    address = address_of(request, chat.parts.trusted_proxies)
    if wait_s := chat.sessions.take(address):
        raise Problem("too-many", extra={"limit": "sessions_per_minute"}, wait_s=wait_s)
    asked = Asked(
        language=_language(data.language), code=data.code,
        host=chat.vouched(data.identity) if data.identity is not None else None,
        token=bearer(request) if "authorization" in request.headers else None,
    )  # fmt: skip
    opened = await chat.start(asked)
    return SessionMade(token=opened.token, after=0, numbering=opened.numbering)


@post(
    "/messages",
    summary="Post a message, or press a button",
    description="Safe to repeat: the same client_message_id gives the same answer.",
    responses=responses(
        *BODY_PROBLEMS,
        "unauthorised",
        "conflict",
        "unstorable-text",
        "no-such-file",
        "too-many",
        "unavailable",
    ),
    security=BEARER,
    tags=["chat"],
)
async def post_message(
    request: AnyRequest, data: JSONBody[MessagePosted], chat: NamedDependency[Chat]
) -> MessageTaken:
    visitor = await chat.visitor(bearer(request))
    posted = _checked(data, visitor)
    if wait_s := chat.messages.take(visitor.id):
        raise Problem("too-many", extra={"limit": "messages_per_minute"}, wait_s=wait_s,
                      language=_language(visitor.language))  # fmt: skip
    received = await chat.take(visitor, posted)
    return MessageTaken(id=received.id, seq=received.seq)


@get(
    "/messages",
    summary="Read what is new",
    description=(
        "Items after a `seq`, oldest first, at most 100; then older items that were edited or "
        "withdrawn since. With `wait`, an answer without news is held back for that many seconds "
        "(25 at most). Ask once without `wait` after a pause: changes made meanwhile come then."
    ),
    responses=responses("foreign-origin", "invalid", "unauthorised", "too-many", "unavailable"),
    security=BEARER,
    tags=["chat"],
)
async def read_messages(
    request: AnyRequest,
    chat: NamedDependency[Chat],
    after: Annotated[int, QueryParameter(ge=0, le=2_147_483_647)] = 0,
    numbering: Annotated[int | None, QueryParameter(ge=0, le=2_147_483_647)] = None,
    wait: Annotated[float, QueryParameter(ge=0, description="Seconds")] = 0.0,
) -> ItemsRead:
    token = bearer(request)
    if math.isnan(wait):
        raise Problem("invalid", extra={"fields": [{"field": "wait", "why": "not a number"}]})
    at = Position(after, numbering)
    news = await chat.read(token, at)
    if wait_s := chat.reads.take(news.visitor.id):
        raise Problem("too-many", extra={"limit": "reads_per_minute"}, wait_s=wait_s,
                      language=_language(news.visitor.language))  # fmt: skip
    news = await chat.wait(news, token, at, min(wait, chat.settings.poll_wait_s_max))
    return _read(news, at)


def chat_routes(chat: Chat) -> Sequence[ControllerRouterHandler]:
    """The router of the chat, with all that guards it."""
    return [
        Router(
            "/chat",
            route_handlers=[
                start_session,
                post_message,
                read_messages,
                *files.HANDLERS,
                chat_socket,
            ],
            dependencies={"chat": Provide(lambda: chat, sync_to_thread=False)},
            middleware=[OriginGuard(chat.parts.origins)],
            before_request=body_check(chat),
            exception_handlers={Exception: on_error},
            request_max_body_size=chat.settings.body_bytes_max,
        )
    ]


def _checked(data: MessagePosted, visitor: KnownVisitor) -> MessagePosted:
    try:
        return cleaned(data)
    except UnstorableText:
        raise Problem("unstorable-text", language=_language(visitor.language)) from None
    except ValueError as error:
        raise Problem("invalid", extra={"fields": [{"field": "text", "why": str(error)}]},
                      language=_language(visitor.language)) from None  # fmt: skip


def _read(news: News, at: Position) -> ItemsRead:
    numbering = news.visitor.numbering
    newest = news.items[-1].seq if news.items else at.in_numbering(numbering)
    items = [shown(item) for item in (*news.items, *news.changed)]
    return ItemsRead(items=items, next=newest, numbering=numbering)


def _language(tag: str | None) -> Language | None:
    """Ours from a language tag: what is not Chinese is answered in English."""
    if tag is None:
        return None
    primary, _, _ = tag.lower().partition("-")
    return "zh" if primary == "zh" else "en"
