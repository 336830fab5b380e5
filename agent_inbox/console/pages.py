"""The console's own files: plain modules, served from memory with their digests."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, SkipValidation

from agent_inbox.console.guard import Policy
from agent_inbox.console.problems import Problem

MEDIA_TYPES = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}

# Nothing inline, nothing foreign, framed by nobody.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class File:
    """A file's bytes, type and entity tag."""

    content: bytes
    media_type: str
    tag: str


Files = Mapping[str, File]


def read_files() -> Files:
    """Everything below static/, by name. A few tens of kilobytes in all."""
    folder = resources.files("agent_inbox.console").joinpath("static")
    return {entry.name: _file(entry.name, entry.read_bytes()) for entry in folder.iterdir()}


def _file(name: str, content: bytes) -> File:
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return File(content, MEDIA_TYPES[name.rpartition(".")[2]], tag)


@get("/", policy=Policy.PUBLIC)
async def page(
    request: Request[Any, Any, Any], files: NamedDependency[SkipValidation[Files]]
) -> Response[bytes]:
    """The console itself."""
    return _served(request, files["index.html"])


@get("/{name:str}", policy=Policy.PUBLIC)
async def file(
    name: FromPath[str],
    request: Request[Any, Any, Any],
    files: NamedDependency[SkipValidation[Files]],
) -> Response[bytes]:
    """One of its files."""
    if name not in files:
        raise Problem(404, "not-found")
    return _served(request, files[name])


def _served(request: Request[Any, Any, Any], found: File) -> Response[bytes]:
    # Asked for each time, sent only when it changed: an update is seen at once.
    headers = {"ETag": found.tag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == found.tag:
        return Response(b"", status_code=304, headers=headers, media_type=found.media_type)
    return Response(found.content, headers=headers, media_type=found.media_type)


HANDLERS = (page, file)
