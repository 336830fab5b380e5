"""What browsers load: the widget as one script, and a page that shows it.

The widget's parts are plain files that share one scope; they are joined when the channel is built,
so that a host page needs one tag and its content policy one address.
"""

import gzip
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from litestar import Request, Response, get
from litestar.types import ControllerRouterHandler

WIDGET_PARTS = tuple(
    f"{name}.js" for name in ("words", "style", "markup", "memory", "line", "view", "element")
)

_STYLE = re.compile(r"const STYLE = `[^`]*`")
_BLANK = re.compile(r"\s*([;{}])\s*|([:,])\s+")
_REMARK = re.compile(r"\s+// [^\"'`]*$")

PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
# A script that any site may load: it holds nothing of anybody's.
SCRIPT_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
HSTS = {"Strict-Transport-Security": "max-age=31536000"}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is served: its bytes plain and packed, and a tag that changes with them."""

    content: bytes
    packed: bytes
    etag: str
    media_type: str
    headers: dict[str, str]


def widget_script() -> bytes:
    """The whole widget: its parts in order, in a scope of their own, without what only we read."""
    folder = _static() / "widget"
    lines = [
        line.strip()
        for name in WIDGET_PARTS
        for line in (folder / name).read_text("utf-8").splitlines()
    ]
    return f'(() => {{\n"use strict";\n{_packed(_code(lines))}\n}})();\n'.encode()


def files_script() -> bytes:
    """What the widget loads when the first file is touched."""
    text = (_static() / "files.js").read_text("utf-8")
    return f"{_packed(_code(line.strip() for line in text.splitlines()))}\n".encode()


def _packed(code: str) -> str:
    """`code` without the blanks of its style sheets."""
    return _STYLE.sub(lambda found: _BLANK.sub(lambda blank: blank[1] or blank[2], found[0]), code)


def _code(lines: Iterable[str]) -> str:
    """Without blank lines and comments."""
    return "\n".join(
        _REMARK.sub("", line) for line in lines if line and not line.startswith(("//", "/**"))
    )


def page_routes(*, demo: bool) -> Sequence[ControllerRouterHandler]:
    """/widget.js with what it loads later, and with `demo` the page at /."""
    script = "text/javascript; charset=utf-8"
    assets = {
        "/widget.js": _asset(widget_script(), script, SCRIPT_HEADERS),
        "/widget-files.js": _asset(files_script(), script, SCRIPT_HEADERS),
    }
    if demo:
        for path, name, media_type in (
            ("/", "demo.html", "text/html; charset=utf-8"),
            ("/demo.css", "demo.css", "text/css; charset=utf-8"),
            ("/demo.js", "demo.js", script),
        ):
            assets[path] = _asset((_static() / name).read_bytes(), media_type, PAGE_HEADERS)
    return [_route(path, asset) for path, asset in assets.items()]


def _static() -> Traversable:
    return resources.files("channels.web") / "static"


def _asset(content: bytes, media_type: str, headers: dict[str, str]) -> Asset:
    etag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
    return Asset(content, gzip.compress(content, 9, mtime=0), etag, media_type, headers)


def _route(path: str, asset: Asset) -> ControllerRouterHandler:
    @get(path, include_in_schema=False, name=f"page:{path}")
    async def serve(request: Request[Any, Any, Any]) -> Response[bytes]:
        return _response(request, asset)

    return serve


def _response(request: Request[Any, Any, Any], asset: Asset) -> Response[bytes]:
    headers = {
        **asset.headers,
        "ETag": asset.etag,
        "Cache-Control": "public, max-age=300",
        "Vary": "Accept-Encoding",
    }
    if request.url.scheme == "https":
        headers |= HSTS
    if request.headers.get("if-none-match") == asset.etag:
        return Response(b"", status_code=304, headers=headers, media_type=asset.media_type)
    packed = "gzip" in request.headers.get("accept-encoding", "")
    if packed:
        headers["Content-Encoding"] = "gzip"
    return Response(
        asset.packed if packed else asset.content, headers=headers, media_type=asset.media_type
    )
