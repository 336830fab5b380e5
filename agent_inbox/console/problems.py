"""Errors as the console's API tells them: {type, title, detail, extra?} with stable types."""

from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException
from sqlalchemy.exc import OperationalError

from agent_inbox import auth
from agent_inbox.desk import Unknown
from gateway.errors import (
    EmptyFile,
    IllegalMove,
    NoSuchFile,
    NoSuchMessage,
    StaleEpoch,
    StaleView,
    TooMuch,
    Unauthorised,
)
from rag.errors import NoEarlierVersion, RagError, SourceUnknown, SourceUnreadable
from storage.database import DatabaseError
from storage.text import UnstorableText

log = structlog.get_logger()

URN = "urn:tandem:"


class Problem(Exception):
    """A refusal, ready to be sent. `kind` is the last part of its type."""

    def __init__(
        self, status: int, kind: str, detail: str = "", *, extra: dict[str, Any] | None = None
    ) -> None:
        super().__init__(detail or kind)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.extra = extra


TITLES = {
    "bad-request": "The request cannot be read",
    "signed-out": "Sign in first",
    "wrong-credentials": "E-mail or password is wrong",
    "weak-password": "This password would be guessed",
    "link-spent": "This link was used or has expired",
    "forbidden": "You may not do this",
    "foreign-origin": "The request comes from another site",
    "not-found": "There is no such thing",
    "illegal-move": "This cannot be done now",
    "stale-owner": "Somebody else was quicker",
    "stale-view": "The customer wrote meanwhile",
    "taken": "Somebody has this e-mail already",
    "too-large": "The body is too large",
    "wrong-type": "The body has the wrong content type",
    "invalid": "The body does not fit",
    "too-much": "Too often",
    "unreadable-document": "The document cannot be taken in",
    "file-gone": "The file is not there (any more)",
    "empty-file": "The file is empty",
    "provider-down": "The network that has the file does not hand it out now",
    "no-earlier-version": "There is no earlier version to go back to",
    "knowledge-down": "The knowledge base does not answer",
    "busy": "Too much is going on",
    "failed": "Something broke on our side",
}
"""Every kind of problem there is, with the words for it."""

_BY_STATUS = {
    400: "bad-request", 401: "signed-out", 403: "forbidden", 404: "not-found",
    413: "too-large", 415: "wrong-type",
}  # fmt: skip


def problem_of(error: Exception) -> Problem:
    """What to tell about an error. Unknown ones tell nothing but that something broke."""
    match error:
        case Problem():
            return error
        case StaleView():
            return Problem(409, "stale-view", extra={"newest_seq": error.newest_seq})
        case StaleEpoch():
            return Problem(409, "stale-owner")
        case IllegalMove():
            return Problem(409, "illegal-move", str(error))
        case Unauthorised():
            return Problem(403, "forbidden", str(error))
        case Unknown() | SourceUnknown() | NoSuchMessage():
            return Problem(404, "not-found")
        case NoSuchFile():
            return Problem(410, "file-gone", str(error))
        case EmptyFile():
            return Problem(422, "empty-file", str(error))
        case TooMuch():
            return Problem(429, "too-much", str(error), extra={"wait_s": error.wait_s})
        case UnstorableText():
            return Problem(422, "invalid", str(error))
        case _:
            return _other_problem(error)


def _other_problem(error: Exception) -> Problem:
    match error:
        case auth.WrongCredentials():
            return Problem(401, "wrong-credentials")
        case auth.WeakPassword():
            return Problem(422, "weak-password", extra={"reason": error.reason})
        case auth.LinkSpent():
            return Problem(410, "link-spent", str(error))
        case auth.Taken():
            return Problem(409, "taken")
        case SourceUnreadable():
            words = {"en": error.reason.en, "zh": error.reason.zh}
            return Problem(422, "unreadable-document", error.reason.en, extra=words)
        case NoEarlierVersion():
            return Problem(409, "no-earlier-version")
        case RagError():
            return Problem(503, "knowledge-down")
        case DatabaseError() | OperationalError():
            return Problem(503, "busy")
        case HTTPException() if error.status_code < 500:
            kind = _BY_STATUS.get(error.status_code, "bad-request")
            return Problem(error.status_code, kind, error.detail)
        case _:
            return Problem(500, "failed")


def refuse(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    """The exception handler of every console route."""
    problem = problem_of(error)
    if problem.status >= 500:
        log.error("console_failed", path=request.url.path, error=type(error).__name__)
    content: dict[str, Any] = {
        "type": URN + problem.kind, "title": TITLES[problem.kind], "detail": problem.detail,
    }  # fmt: skip
    if problem.extra is not None:
        content["extra"] = problem.extra
    wait_s = (problem.extra or {}).get("wait_s")
    headers = {"Retry-After": str(int(wait_s) + 1)} if wait_s else {}
    if problem.status == 503:
        headers["Retry-After"] = "2"
    return Response(content, status_code=problem.status, headers=headers)
