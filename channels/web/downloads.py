"""How a file from outside is handed to a browser: to be kept, never to be shown as a page."""

import asyncio
from collections.abc import Iterator
from itertools import chain
from urllib.parse import quote

from litestar import Response
from litestar.response import Stream

from gateway.files import label_of, media_type_of

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
    "Cache-Control": "private, no-store",
}


def download(name: str, content: bytes) -> Response[bytes]:
    """`content` as an attachment. Its type is what its first bytes say, if that is an image of a
    known kind, and else one that no browser opens."""
    return Response(content, media_type=media_type_of(content), headers=_headers(name))


async def streamed(name: str, chunks: Iterator[bytes]) -> Stream:
    """Like `download`, piece by piece: a slow reader holds one piece in memory, not the file."""
    first = await asyncio.to_thread(next, chunks, b"")
    return Stream(
        chain((first,), chunks), media_type=media_type_of(first), headers=_headers(name)
    )  # fmt: skip


def _headers(name: str) -> dict[str, str]:
    return {**_HEADERS, "Content-Disposition": disposition(name)}


def disposition(name: str) -> str:
    """The header that gives a download its name (RFC 6266): plain for old readers, then exact."""
    label = label_of(name)
    plain = label.encode("ascii", "replace").decode().replace("?", "_").replace("%", "_")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(label, safe='')}"
