"""Search over what is live: vectors and keywords together, filtered by SQL at the end.

Neither index is believed. What they find is fetched from SQL in one snapshot, with the audience
and "live" in its conditions, and the ranking is made again without whatever did not come back: so
a withdrawn text changes nothing from the commit that withdrew it, however stale an index is.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import structlog
from sqlmodel import Session

from rag import store
from rag.embed import MicroBatcher
from rag.errors import IndexUnavailable, ModelUnavailable
from rag.evidence import features
from rag.keyword import Entry, KeywordIndex, KeywordState
from rag.language import content_terms, detect
from rag.rank import Hit, Query, Ranking, rank
from rag.spaces import Spaces
from rag.types import Candidate, Evidence, Language, Question
from storage.database import Database

log = structlog.get_logger()

# Above this share of unknown tokens a vector of the text means nothing: its weight falls to zero.
_UNKNOWN_SHARE_MAX = 0.4
_CONTEXT_TURNS = 3
_QUESTION_CHARS_MAX = 2_000  # of a question that is searched with; the rest adds nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieveLimits:
    """Of one search, and of how long a broken vector leg is left alone."""

    near_wait_s: float = 3.0
    near_max: int = 60
    rest_s: float = 2.0  # after the first failure; doubled by each further one
    rest_s_max: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search gives: evidence with its candidates, and how it came about."""

    evidence: Evidence
    language: Language
    hashes: tuple[str, ...]  # content hashes of the candidates, in their order
    vectors_used: bool
    timings_ms: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Reading:
    """One snapshot of SQL: its version, and the candidates that may be read in it."""

    version: int
    chunks: Mapping[str, store.LiveChunk]


class Retriever:
    """Finds passages. Call `refresh` once before searching, and after each publish."""

    def __init__(
        self,
        database: Database,
        spaces: Spaces,
        *,
        limits: RetrieveLimits | None = None,
        on_trouble: Callable[[], None] = lambda: None,
    ) -> None:
        self.spaces = spaces
        self.keywords = KeywordIndex()
        self.version = -1  # of the base that the keyword index follows; -1 before the first
        self.fitness: Mapping[Language, float] = {}  # measured by calibration; else 1
        self._database = database
        self._limits = limits or RetrieveLimits()
        self._on_trouble = on_trouble  # told each time the vector leg fails
        self._breaker = Breaker(self._limits.rest_s, self._limits.rest_s_max)
        self._refreshing = asyncio.Lock()

    @property
    def batcher(self) -> MicroBatcher:
        """That of the live embedder."""
        return self.spaces.live.batcher

    @property
    def vector_trouble(self) -> str:
        """Why the vector leg is left alone just now; empty while it works."""
        return self._breaker.reason

    def knows_anything(self, audience: str) -> bool:
        """Whether anything is published for that audience."""
        return bool(self.keywords.state.visible(store.visible_to(audience)).any())

    def languages(self, audience: str) -> set[Language]:
        """The languages of the passages that are published for that audience."""
        state = self.keywords.state
        visible = state.visible(store.visible_to(audience))
        return {state.rows[at].entry.language for at in np.flatnonzero(visible)}

    async def refresh(self) -> bool:
        """Follow the live revisions by what changed. True if anything did."""
        async with self._refreshing:
            known = self.keywords.editions()
            version, live, chunks = await self._database.read(lambda s: _live_beyond(s, known))
            gone = known - live
            if chunks or gone:
                added = [(_entry(chunk), chunk.text) for chunk in chunks]
                await asyncio.to_thread(self.keywords.update, added, gone)
            changed = version != self.version or bool(chunks or gone)
            self.version = version
            return changed

    async def search(self, question: Question) -> Found:
        """The evidence for a question. Raises what the database raises, nothing of the indexes."""
        clock = _Stopwatch()
        state = self.keywords.state
        query, asked = await asyncio.to_thread(self.prepare, state, question)
        clock.lap("prepare")
        audiences = store.visible_to(question.audience)
        cosines = await self._cosines(asked, audiences, clock) if query.fitness > 0 else None
        ranking, reading = await self._rank_live(state, query, cosines, question.audience)
        clock.lap("rank")
        evidence = await asyncio.to_thread(_evidence, state, ranking, reading)
        clock.lap("evidence")
        return Found(
            evidence=evidence,
            language=query.language,
            hashes=tuple(reading.chunks[one.chunk_id].content_hash for one in evidence.candidates),
            vectors_used=cosines is not None,
            timings_ms=clock.laps,
        )

    def prepare(self, state: KeywordState, question: Question) -> tuple[Query, str]:
        """The question made ready, and the text to embed: with the subject, if one is carried."""
        text = question.text[:_QUESTION_CHARS_MAX]
        language = detect(text)
        named, subjects = state.subjects.subjects(text, question.history)
        asked = text
        if subjects:
            asked = f"{max(subjects, key=lambda name: subjects[name])}: {text}"
        context: Sequence[str] = ()
        if question.history and not subjects and not named:
            last = question.history[-_CONTEXT_TURNS:]
            context = content_terms("\n".join(turn.text for turn in last))
        query = Query(
            text=text,
            terms=tuple(content_terms(text)),
            language=language,
            fitness=self._fitness(asked, language),
            named=named,
            subjects=subjects,
            context=tuple(context),
        )
        return query, asked

    async def near(self, texts: Sequence[str], *, limit: int) -> list[dict[str, float]]:
        """Cosines by content hash for each text; for calibration. Raises IndexUnavailable,
        ModelUnavailable."""
        everybody = tuple(self.keywords.state.audiences)
        async with self.spaces.using() as space:
            vectors = await asyncio.gather(*(space.batcher.embed_query(text) for text in texts))
            found = await space.index.near(np.stack(vectors), limit=limit, audiences=everybody)
        return [{one.id: one.cosine for one in row} for row in found]

    def _fitness(self, text: str, language: Language) -> float:
        unknown = self.batcher.embedder.unknown_share(text)
        of_question = max(0.0, 1.0 - unknown / _UNKNOWN_SHARE_MAX)
        return round(of_question * self.fitness.get(language, 1.0), 3)

    async def _cosines(
        self, text: str, audiences: Sequence[str], clock: "_Stopwatch"
    ) -> dict[str, float] | None:
        """The vector leg, or None when it is down: then keywords go on alone."""
        if self._breaker.is_open:
            return None
        try:
            async with asyncio.timeout(self._limits.near_wait_s), self.spaces.using() as space:
                vector = await space.batcher.embed_query(text)
                clock.lap("embed")
                rows = await space.index.near(
                    vector[None], limit=self._limits.near_max, audiences=audiences
                )
        except (IndexUnavailable, ModelUnavailable, TimeoutError) as error:
            self._breaker.fail(str(error) or "no answer in time")
            log.warning("vector leg down", reason=self._breaker.reason)
            self._on_trouble()
            return None
        finally:
            clock.lap("near")
        self._breaker.succeed()
        return {one.id: one.cosine for one in rows[0]}

    async def _rank_live(
        self,
        state: KeywordState,
        query: Query,
        cosines: Mapping[str, float] | None,
        audience: str,
    ) -> tuple[Ranking, _Reading]:
        """A ranking of which SQL confirms every hit. What it does not confirm is withdrawn, with
        all of its revision, and the ranking made again."""
        visible = state.visible(store.visible_to(audience))
        while True:
            ranking = await asyncio.to_thread(rank, state, query, cosines, visible=visible)
            ids = [_id(state, hit) for hit in ranking.hits]
            reading = await self._database.read(lambda s, ids=ids: _fetch(s, ids, audience))
            entries = [state.rows[hit.row].entry for hit in ranking.hits]
            gone = {one.revision_id for one in entries if one.chunk_id not in reading.chunks}
            if not gone:
                return ranking, reading
            visible &= ~state.mask(lambda entry, gone=gone: entry.revision_id in gone)


class Breaker:
    """Leaves a failing part alone for a while that doubles, so that it costs nothing meanwhile."""

    def __init__(self, rest_s: float, rest_s_max: float) -> None:
        self.reason = ""
        self._first, self._most = rest_s, rest_s_max
        self._rest_s = rest_s
        self._until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether to leave it alone now. When the rest is over one caller tries for all."""
        now = time.monotonic()
        if now >= self._until and self.reason:
            self._until = now + self._rest_s  # the others go on waiting for this try
            return False
        return now < self._until

    def fail(self, reason: str) -> None:
        self.reason = reason
        self._until = time.monotonic() + self._rest_s
        self._rest_s = min(self._rest_s * 2, self._most)

    def succeed(self) -> None:
        self.reason, self._rest_s, self._until = "", self._first, 0.0


class _Stopwatch:
    """Names each stretch of a search, in milliseconds."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = round(self.laps.get(name, 0.0) + (now - self._last) * 1000, 2)
        self._last = now


def _live_beyond(
    session: Session, known: set[tuple[str, str]]
) -> tuple[int, set[tuple[str, str]], list[store.LiveChunk]]:
    """The version, what is live at it, and the chunks of live editions not yet `known`."""
    version = store.knowledge_version(session)
    live = {(one.revision_id, one.audience) for one in store.live_revisions(session)}
    new = sorted({revision_id for revision_id, _ in live - known})
    return version, live, store.live_chunks(session, new)


def _fetch(session: Session, ids: Sequence[str], audience: str) -> _Reading:
    version = store.knowledge_version(session)
    chunks = store.fetch_live(session, ids, audience)
    return _Reading(version, {chunk.chunk_id: chunk for chunk in chunks})


def _id(state: KeywordState, hit: Hit) -> str:
    return state.rows[hit.row].entry.chunk_id


def _evidence(state: KeywordState, ranking: Ranking, reading: _Reading) -> Evidence:
    pairs = [(hit, reading.chunks.get(_id(state, hit))) for hit in ranking.hits]
    return Evidence(
        features=features(state, ranking),
        candidates=tuple(_candidate(hit, chunk) for hit, chunk in pairs if chunk is not None),
        knowledge_version=reading.version,
    )


def _candidate(hit: Hit, chunk: store.LiveChunk) -> Candidate:
    return Candidate(
        chunk_id=chunk.chunk_id,
        source_id=chunk.source_id,
        title=chunk.title,
        source=chunk.source,
        url=chunk.url,
        heading_path=chunk.heading_path,
        text=chunk.text,
        kind=chunk.kind,
        language=chunk.language,
        score=hit.score,
        keyword=hit.keyword,
        grams=hit.grams,
        vector=hit.vector,
    )


def _entry(chunk: store.LiveChunk) -> Entry:
    return Entry(
        chunk_id=chunk.chunk_id,
        revision_id=chunk.revision_id,
        source_id=chunk.source_id,
        content_hash=chunk.content_hash,
        language=chunk.language,
        audience=chunk.audience,
        kind=chunk.kind,
        title=chunk.title,
        heading_path=chunk.heading_path,
        source_audience=chunk.source_audience,
        entry_id=chunk.entry_id,
    )
