"""Files in the console: an agent's uploads, and the attachments of any message."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, SkipValidation
from sqlmodel import Session

from agent_inbox.console.bodies import Kept
from agent_inbox.console.guard import Policy, SignedIn
from agent_inbox.console.parts import ConsoleParts
from agent_inbox.console.problems import Problem
from channels.web.downloads import download
from gateway.errors import ChannelError, Refused
from gateway.files import id_of
from gateway.messages import Attachment
from gateway.models import Message

Parts = NamedDependency[SkipValidation[ConsoleParts]]
Who = NamedDependency[SkipValidation[SignedIn]]
AnyRequest = Request[Any, Any, Any]


@post("/files", policy=Policy.AGENT, status_code=201)
async def upload(request: AnyRequest, name: FromQuery[str], parts: Parts, who: Who) -> Kept:
    """Keep a file that a reply will name. Its bytes are the body."""
    if request.content_type[0] != "application/octet-stream":
        raise Problem(415, "wrong-type", "send the file as application/octet-stream")
    content = await request.body()
    file = await parts.attachments.take(who.worker.actor.in_audit, name, content)
    return Kept(
        id=id_of(file.reference), name=file.name, kind=file.kind, media_type=file.media_type,
        size_bytes=file.size_bytes,
    )  # fmt: skip


@get("/messages/{message_id:str}/attachments/{n:int}", policy=Policy.AGENT)
async def attachment(message_id: FromPath[str], n: FromPath[int], parts: Parts) -> Response[bytes]:
    """The bytes of an attachment, from our own folder or from the network it came in on."""

    def find(session: Session) -> tuple[str, Attachment]:
        message = session.get(Message, message_id)
        if message is None or not 0 <= n < len(message.attachments):
            raise Problem(404, "not-found")
        return message.channel, Attachment(**message.attachments[n])

    channel, wanted = await parts.store.read(find)
    try:
        content = await parts.attachments.bytes_of(channel, wanted)
    except Refused as error:
        raise Problem(410, "file-gone", str(error)) from error
    except ChannelError as error:
        raise Problem(503, "provider-down", str(error), extra={"channel": channel}) from error
    return download(wanted.name, content)


HANDLERS = (attachment,)
UPLOAD = upload  # has a larger body limit than the others
