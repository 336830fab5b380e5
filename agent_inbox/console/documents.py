"""The Knowledge page: documents in and out, and what became of them."""

from typing import Any

from litestar import Request, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, SkipValidation
from sqlmodel import Session

from agent_inbox.console.bodies import Page, said
from agent_inbox.console.guard import Policy, SignedIn
from agent_inbox.console.parts import ConsoleParts
from agent_inbox.console.problems import Problem
from gateway import audit
from rag.types import RevisionStatus, SourceDetail, Upload

Parts = NamedDependency[SkipValidation[ConsoleParts]]
Who = NamedDependency[SkipValidation[SignedIn]]
AnyRequest = Request[Any, Any, Any]

NAME_CHARS_MAX = 200
SOURCES_PAGE_MAX = 100


@get("/sources", policy=Policy.AGENT)
async def sources(parts: Parts, after: FromQuery[str] = "", limit: FromQuery[int] = 50) -> Page:
    """What the bot answers from, oldest first."""
    limit = max(1, min(limit, SOURCES_PAGE_MAX))
    found = list(await parts.knowledge.sources(after=after, limit=limit))
    return Page(items=found, next=found[-1].id if len(found) == limit else None)


@get("/sources/{source_id:str}", policy=Policy.AGENT)
async def source(source_id: FromPath[str], parts: Parts) -> SourceDetail:
    """A document: its versions, what was found wrong with it, its passages."""
    return await parts.knowledge.show(source_id)


@post("/sources", policy=Policy.ADMIN, status_code=202)
async def upload(
    request: AnyRequest, name: FromQuery[str], parts: Parts, who: Who
) -> RevisionStatus:
    """Take a document in: its bytes are the body. The same name again is a new version."""
    if request.content_type[0] != "application/octet-stream":
        raise Problem(415, "wrong-type", "send the file as application/octet-stream")
    # A name is a label, never a path: what a browser or a folder put before it is cut off.
    label = said(name.replace("\\", "/").rpartition("/")[2])
    if len(label) > NAME_CHARS_MAX:
        raise Problem(422, "invalid", f"the name is longer than {NAME_CHARS_MAX} characters")
    content = await request.body()
    status = await parts.knowledge.add(Upload(name=label, content=content))
    await _note(parts, who, "document_added", status.source_id, label)
    return status


@get("/revisions/{revision_id:str}", policy=Policy.AGENT)
async def revision(revision_id: FromPath[str], parts: Parts) -> RevisionStatus:
    """How far a version of a document got."""
    return await parts.knowledge.progress(revision_id)


@delete("/sources/{source_id:str}", policy=Policy.ADMIN)
async def retire(source_id: FromPath[str], parts: Parts, who: Who) -> None:
    """Take a document out: no answer cites it from now on."""
    name = (await parts.knowledge.show(source_id)).summary.name
    await parts.knowledge.retire(source_id)
    await _note(parts, who, "document_retired", source_id, name)


async def _note(parts: ConsoleParts, who: SignedIn, action: str, source_id: str, name: str) -> None:
    """In the gateway's store, after the librarian did it: no transaction crosses the two."""

    def work(session: Session) -> None:
        audit.note_down(
            session, at=parts.clock(), actor=f"agent:{who.agent_id}", action=action,
            subject=f"source:{source_id}", name=name,
        )  # fmt: skip

    await parts.store.write(work)


HANDLERS = (sources, source, revision, retire)
UPLOAD = upload  # has a larger body limit than the others
