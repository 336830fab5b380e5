"""The Knowledge page: documents in and out, and what became of them."""

from typing import Any

from litestar import Request, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, SkipValidation
from sqlmodel import Session

from agent_inbox.console.bodies import (
    AddressBody,
    AudienceBody,
    Page,
    PageBody,
    Pages,
    RollBackBody,
    read_body,
    said,
)
from agent_inbox.console.guard import Policy, SignedIn
from agent_inbox.console.parts import ConsoleParts
from agent_inbox.console.problems import Problem
from gateway import audit
from rag.types import Page as WebPage
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
    request: AnyRequest,
    name: FromQuery[str],
    parts: Parts,
    who: Who,
    audience: FromQuery[str | None] = None,
) -> RevisionStatus:
    """Take a document in: its bytes are the body. The same name again is a new version, and is for
    the same people unless it says otherwise."""
    if request.content_type[0] != "application/octet-stream":
        raise Problem(415, "wrong-type", "send the file as application/octet-stream")
    # A name is a label, never a path: what a browser or a folder put before it is cut off.
    label = said(name.replace("\\", "/").rpartition("/")[2])
    if len(label) > NAME_CHARS_MAX:
        raise Problem(422, "invalid", f"the name is longer than {NAME_CHARS_MAX} characters")
    content = await request.body()
    status = await parts.knowledge.add(Upload(name=label, content=content, audience=audience))
    await _note(parts, who, "document_added", status.source_id, label)
    return status


@post("/pages", policy=Policy.ADMIN, status_code=200)
async def pages(request: AnyRequest, parts: Parts) -> Pages:
    """What an address stands for: a page, or all that a sitemap names."""
    body = await read_body(request, AddressBody)
    return Pages(urls=list(await parts.knowledge.pages(said(body.url))))


@post("/sources/page", policy=Policy.ADMIN, status_code=202)
async def page(request: AnyRequest, parts: Parts, who: Who) -> RevisionStatus:
    """Fetch a page and take it in, under its address."""
    body = await read_body(request, PageBody)
    wanted = WebPage(url=said(body.url), audience=body.audience, language=body.language)
    status = await parts.knowledge.add_page(wanted)
    await _note(parts, who, "document_added", status.source_id, status.source)
    return status


@post("/sources/{source_id:str}/rollback", policy=Policy.ADMIN, status_code=200)
async def roll_back(
    request: AnyRequest, source_id: FromPath[str], parts: Parts, who: Who
) -> RevisionStatus:
    """Answer from an earlier version again."""
    body = await read_body(request, RollBackBody)
    status = await parts.knowledge.roll_back(source_id, body.revision_id)
    await _note(parts, who, "document_rolled_back", source_id, status.source)
    return status


@put("/sources/{source_id:str}/audience", policy=Policy.ADMIN, status_code=204)
async def audience(request: AnyRequest, source_id: FromPath[str], parts: Parts, who: Who) -> None:
    """Say who may be answered from it, in all of its versions."""
    body = await read_body(request, AudienceBody)
    name = (await parts.knowledge.show(source_id)).summary.name
    await parts.knowledge.set_audience(source_id, body.audience)
    await _note(parts, who, "document_audience", source_id, f"{name}: {body.audience}")


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


HANDLERS = (sources, source, pages, page, revision, roll_back, audience, retire)
UPLOAD = upload  # has a larger body limit than the others
