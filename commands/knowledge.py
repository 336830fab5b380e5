"""`tandem kb`: documents in and out, through the running server or without one."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.progress import Progress

from commands.access import POLL_S, with_library
from commands.deployment import Deployment
from commands.failures import DONE, FAILED, CommandFailed
from commands.reports import health_lines
from commands.screen import hint, language, print_json, print_table, progress, say
from rag.errors import NoEarlierVersion, SourceUnreadable
from rag.library import KnowledgePart, Library
from rag.load import LOADERS
from rag.types import Language, Page, RevisionStatus, SourceSummary, Upload

SUFFIXES = frozenset(LOADERS)
_ENDED = frozenset({"live", "superseded", "failed"})
_PAGE = 200
_AHEAD = 8  # documents handed in before the first of them is done


@dataclass(slots=True)
class _Tally:
    """What became of the documents of one `kb add`."""

    added: int = 0
    unchanged: int = 0
    failed: int = 0
    chunks: int = 0
    embedded: int = 0

    def note(self, status: RevisionStatus, *, known: bool) -> None:
        """`known`: this very version was live before."""
        if status.state == "failed":
            self.failed += 1
            return
        self.chunks += status.chunks_total
        if known:
            self.unchanged += 1
        else:
            self.added += 1
            self.embedded += status.chunks_embedded


@dataclass(frozen=True, slots=True)
class Labels:
    """What is said of all documents of one `kb add`; None: left as it is, or told from the text."""

    audience: str | None = None
    language: Language | None = None


def add(file: Path | None, places: Sequence[str], labels: Labels) -> int:
    """Take the documents at `places` in, files, folders or addresses, with progress; the exit
    code."""
    addresses = [place for place in places if place.startswith(("https://", "http://"))]
    found = _documents([Path(place) for place in places if place not in addresses])
    if not found and not addresses:
        kinds = ", ".join(sorted(SUFFIXES))
        raise CommandFailed(f"no documents there: files that end in {kinds} are taken in")

    async def work(library: Library) -> _Tally:
        pages = [page for one in addresses for page in await _pages(library.knowledge, one)]
        with progress("passages") as bars:
            adding = _Adding(library.knowledge, bars, labels)
            await adding.run([*found, *((page, None) for page in pages)])
        return adding.tally

    tally = with_library(Deployment.read(file), work)
    say(
        f"{tally.added} added, {tally.unchanged} unchanged, {tally.failed} failed; "
        f"{tally.chunks} passages, {tally.embedded} of them embedded anew"
    )
    return FAILED if tally.failed else DONE


def list_sources(file: Path | None, *, json: bool) -> None:
    """Print every document."""

    async def work(library: Library) -> list[SourceSummary]:
        return [source async for source in every_source(library.knowledge)]

    sources = with_library(Deployment.read(file), work)
    if json:
        print_json(sources)
        return
    print_table(
        ("name", "title", "state", "passages", "language", "audience", "id"),
        [(s.name, s.title, s.state, s.chunks, s.language or "", s.audience, s.id) for s in sources],
    )


def show(file: Path | None, name: str, *, json: bool) -> None:
    """Print one document with its versions and passages."""

    async def work(library: Library) -> None:
        source = await _find(library.knowledge, name)
        detail = await library.knowledge.show(source.id)
        if json:
            print_json(detail)
            return
        say(f"{source.title}\n{source.name}  {source.state}  {source.audience}  {source.url or ''}")
        for revision in detail.revisions:
            said = f"  {revision.reason.in_language(language())}" if revision.reason else ""
            back = "  (can be live again)" if revision.can_go_back else ""
            when = f"{revision.created_at:%Y-%m-%d %H:%M} UTC"
            say(f"  version {revision.revision_id} of {when}: {revision.state}{said}{back}")
        newest = next((one.health for one in detail.revisions if one.health), None)
        for line in health_lines(newest, language()) if newest else ():
            say(f"  {line}")
        for passage in detail.passages:
            above = " › ".join(passage.heading_path)
            own = f"  ({passage.audience})" if passage.audience != source.audience else ""
            say(f"\n[{passage.ordinal}] {above}{own}\n{passage.text}")
            for wording in passage.wordings:
                say(f"  = {wording}")

    with_library(Deployment.read(file), work)


def remove(file: Path | None, name: str) -> None:
    """Withdraw one document."""

    async def work(library: Library) -> SourceSummary:
        source = await _find(library.knowledge, name)
        await library.knowledge.retire(source.id)
        return source

    say(f"{with_library(Deployment.read(file), work).name} is withdrawn")


def roll_back(file: Path | None, name: str, revision_id: str | None) -> None:
    """Answer from an earlier version of a document again."""

    async def work(library: Library) -> RevisionStatus:
        source = await _find(library.knowledge, name)
        try:
            status = await library.knowledge.roll_back(source.id, revision_id)
        except NoEarlierVersion:
            raise CommandFailed(
                f"{source.name} has no such version that is complete: see `tandem kb show`"
            ) from None
        while status.state not in _ENDED:
            await asyncio.sleep(POLL_S)
            status = await library.knowledge.progress(status.revision_id)
        return status

    status = with_library(Deployment.read(file), work)
    say(f"{status.source} is answered from the version of {status.created_at:%Y-%m-%d %H:%M} UTC")


def set_audience(file: Path | None, name: str, audience: str) -> None:
    """Say who may be answered from a document."""

    async def work(library: Library) -> SourceSummary:
        source = await _find(library.knowledge, name)
        try:
            await library.knowledge.set_audience(source.id, audience)
        except SourceUnreadable as error:
            raise CommandFailed(error.reason.in_language(language())) from None
        return source

    say(f"{with_library(Deployment.read(file), work).name} is for {audience}")


def check(file: Path | None, *, rebuild: bool, json: bool) -> int:
    """Print what the check of the index found; the exit code."""

    async def work(library: Library) -> int:
        report = await library.knowledge.check(rebuild=rebuild)
        if json:
            print_json(report)
        else:
            state = "healthy" if report.healthy else "NOT healthy"
            say(
                f"The index is {state}: {report.chunks} passages, {report.probed} probed, "
                f"{report.wrong} wrong{', rebuilt' if report.rebuilt else ''}, "
                f"{report.embedded} embedded anew. {report.detail}".rstrip()
            )
            if not report.healthy and not rebuild:
                hint("`tandem kb check --rebuild` makes it anew from the database.")
        return DONE if report.healthy else FAILED

    return with_library(Deployment.read(file), work)


async def every_source(knowledge: KnowledgePart) -> AsyncGenerator[SourceSummary]:
    """All documents, page by page."""
    after = ""
    while page := await knowledge.sources(after=after, limit=_PAGE):
        for source in page:
            yield source
        after = page[-1].id


def _documents(paths: Sequence[Path]) -> list[tuple[str, Path]]:
    """(Name, file) of all documents. A folder's files are named by the folder and their path below
    it: the same folder at another place means the same documents, and two folders never
    overwrite each other's."""
    found: list[tuple[str, Path]] = []
    for path in paths:
        if path.is_dir():
            files = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES)
            hidden = [p for p in files if any(part[0] == "." for part in p.relative_to(path).parts)]
            top = path.resolve().name
            found += [
                (f"{top}/{p.relative_to(path).as_posix()}", p) for p in files if p not in hidden
            ]
        elif path.is_file():
            found.append((path.name, path))
        else:
            raise CommandFailed(f"{path}: there is no such file or folder")
    return found


async def _pages(knowledge: KnowledgePart, address: str) -> list[str]:
    """The page itself, or those that a sitemap names."""
    try:
        return await knowledge.pages(address)
    except SourceUnreadable as error:
        raise CommandFailed(error.reason.in_language(language())) from None


class _Adding:
    """One `kb add`: several documents at once, each followed until it is live or has failed."""

    def __init__(self, knowledge: KnowledgePart, bars: Progress, labels: Labels) -> None:
        self.tally = _Tally()
        self._knowledge = knowledge
        self._bars = bars
        self._labels = labels
        self._room = asyncio.Semaphore(_AHEAD)
        self._chunks: dict[str, tuple[int, int]] = {}  # revision → done, in all

    async def run(self, found: Sequence[tuple[str, Path | None]]) -> None:
        """Documents by name and file; a page has its address as its name, and no file."""
        self._documents = self._bars.add_task("documents", total=len(found))
        self._passages = self._bars.add_task("passages", total=None)
        async with asyncio.TaskGroup() as group:
            for name, path in found:
                group.create_task(self._one(name, path))

    async def _one(self, name: str, path: Path | None) -> None:
        async with self._room:
            try:
                first = await self._hand_in(name, path)
                status = await self._follow(first)
            except SourceUnreadable as error:
                self.tally.failed += 1
                self._remark(name, error.reason.in_language(language()), "red")
            except OSError as error:
                self.tally.failed += 1
                self._remark(name, str(error), "red")
            else:
                known = first.state == "live"
                self.tally.note(status, known=known)
                if not known:  # else it was said before
                    self._remark_on(name, status)
        self._bars.advance(self._documents)

    async def _hand_in(self, name: str, path: Path | None) -> RevisionStatus:
        told = self._labels
        if path is None:
            page = Page(url=name, audience=told.audience, language=told.language)
            return await self._knowledge.add_page(page)
        content = await asyncio.to_thread(path.read_bytes)
        upload = Upload(name=name, content=content, audience=told.audience, language=told.language)
        return await self._knowledge.add(upload)

    async def _follow(self, status: RevisionStatus) -> RevisionStatus:
        self._count(status)
        while status.state not in _ENDED:
            await asyncio.sleep(POLL_S)
            status = await self._knowledge.progress(status.revision_id)
            self._count(status)
        return status

    def _count(self, status: RevisionStatus) -> None:
        self._chunks[status.revision_id] = (status.chunks_done, status.chunks_total)
        done, total = (sum(column) for column in zip(*self._chunks.values(), strict=True))
        self._bars.update(self._passages, completed=done, total=total or None)

    def _remark_on(self, name: str, status: RevisionStatus) -> None:
        if status.state == "failed":
            reason = status.reason.in_language(language()) if status.reason else ""
            self._remark(name, reason or "it could not be taken in", "red")
        for warning in status.health.warnings if status.health else ():
            self._remark(name, warning.in_language(language()), "yellow")

    def _remark(self, name: str, text: str, style: str) -> None:
        self._bars.console.print(f"{name}: {text}", style=style, markup=False, highlight=False)


async def _find(knowledge: KnowledgePart, name: str) -> SourceSummary:
    """The one document with that name or id. CommandFailed with what comes close otherwise."""
    import difflib

    sources = [source async for source in every_source(knowledge)]
    for source in sources:
        if name in (source.id, source.name):
            return source
    close = difflib.get_close_matches(name, [source.name for source in sources], n=3)
    more = f"; did you mean {', '.join(close)}?" if close else ": see `tandem kb list`"
    raise CommandFailed(f"there is no document {name!r}{more}")
