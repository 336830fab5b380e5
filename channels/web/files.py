"""Files over HTTP: a visitor's uploads, and the files of the messages they may see."""

import asyncio
from typing import Annotated, Any

from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream

from channels.web.chat import Chat, owner_of
from channels.web.door import address_of, bearer
from channels.web.downloads import streamed
from channels.web.fields import FileKept
from channels.web.problems import Problem, responses
from gateway.files import FILE_BYTES_MAX, id_of

AnyRequest = Request[Any, Any, Any]
BEARER: list[dict[str, list[str]]] = [{"visitor": []}]
NAME_CHARS_MAX = 1_000  # what is kept of it is shorter


@post(
    "/files",
    summary="Upload a file",
    description=(
        "The body is the file's bytes. The answer's id goes into `files` of a message within a "
        "day; a file that no message names is deleted then."
    ),
    responses=responses(
        "foreign-origin", "unauthorised", "too-slow", "too-large", "not-a-file", "empty-file",
        "invalid", "too-many", "unavailable",
    ),
    request_max_body_size=FILE_BYTES_MAX,
    security=BEARER,
    tags=["chat"],
    opt={"takes": "bytes"},
)  # fmt: skip
async def upload_file(
    request: AnyRequest,
    chat: NamedDependency[Chat],
    name: Annotated[str, QueryParameter(max_length=NAME_CHARS_MAX)] = "",
) -> FileKept:
    visitor = await chat.visitor(bearer(request))
    address = address_of(request, chat.parts.trusted_proxies)
    if wait_s := chat.uploads.take(visitor.id):
        raise Problem("too-many", extra={"limit": "uploads_per_minute"}, wait_s=wait_s)
    if wait_s := chat.uploads_there.take(address):
        raise Problem("too-many", extra={"limit": "uploads_per_address"}, wait_s=wait_s)
    content = await _body(request, chat.settings.upload_wait_s)
    file = await chat.attachments.take(owner_of(visitor), name, content)
    return FileKept(
        id=id_of(file.reference), name=file.name, media_type=file.media_type,
        size_bytes=file.size_bytes,
    )  # fmt: skip


async def _body(request: AnyRequest, wait_s: float) -> bytes:
    plain = request.headers.get("content-encoding", "identity") == "identity"
    if request.content_type[0] != "application/octet-stream" or not plain:
        raise Problem("not-a-file")
    try:
        async with asyncio.timeout(wait_s):
            return await request.body()
    except TimeoutError:
        raise Problem("too-slow") from None


@get(
    "/messages/{message_id:str}/attachments/{n:int}",
    summary="Download a file of a message",
    description="Only of the visitor's own conversation. Always as an attachment.",
    responses=responses("foreign-origin", "unauthorised", "not-found", "too-many", "unavailable"),
    security=BEARER,
    tags=["chat"],
)
async def download_file(
    request: AnyRequest, chat: NamedDependency[Chat], message_id: FromPath[str], n: FromPath[int]
) -> Stream:
    visitor = await chat.visitor(bearer(request))
    if wait_s := chat.downloads.take(visitor.id):
        raise Problem("too-many", extra={"limit": "downloads_per_minute"}, wait_s=wait_s)
    file = await chat.file(visitor, message_id, n)
    if file is None:
        raise Problem("not-found")
    try:
        chunks = await asyncio.to_thread(chat.parts.files.chunks, file.reference)
    except FileNotFoundError:
        raise Problem("not-found") from None
    return await streamed(file.name, chunks)


HANDLERS = (upload_file, download_file)
