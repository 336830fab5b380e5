"""Keeps the calibration in step with the base: after each publish, in the background.

The one in force stays until the new one is stored. What it asks itself goes through the same
embedder, index and ranking as a person's question.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt
import structlog

from rag import models, store
from rag.calibrate import CalibrationModel, Line, PseudoOutcomes, report_on, self_calibrated
from rag.errors import IndexUnavailable, ModelUnavailable
from rag.evidence import as_row, features
from rag.keyword import Entry, Floats, KeywordState, Mask
from rag.pseudo import Passage, PseudoQuestion, pseudo_questions
from rag.rank import rank
from rag.retrieve import Retriever
from rag.types import CalibrationReport, Language, Question
from storage.database import Database, DatabaseError
from storage.ids import new_id

log = structlog.get_logger()

LANGUAGES: tuple[Language, ...] = ("en", "zh")
_QUESTIONS = 250
_QUESTIONS_PER_LANGUAGE_MIN = 200
_PASSAGES_MIN = 4  # of a language; fewer say nothing about questions in it
_PASSAGES_READ_MAX = 400
_RETRY_WAIT_S = 30.0
_NEAR_BATCH = 8
_NEAR_MAX = 60
_OWN_MAX = 300  # vectors of a left-out document that may stand before all others
# From this many documents on, leaving a whole one out is hard enough. With fewer, every other
# question leaves out its passage only: the rest of the document stays and looks alike.
_DOCUMENTS_MANY = 8
# The vector leg finds at least this share of pseudo-questions again where the embedder is fit.
_FOUND_AGAIN_MIN = 0.5
_FOUND_AGAIN_DEPTH = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """A calibration as decisions use it. `id` is "prior" before the first one was made."""

    id: str = "prior"
    model: CalibrationModel
    knowledge_version: int = -1
    fingerprint: str = ""
    report: CalibrationReport | None = None


@dataclass(frozen=True, slots=True)
class _Asked:
    """The pseudo-questions of one language with the cosines they found; None without vectors."""

    questions: Sequence[PseudoQuestion]
    cosines: Sequence[Mapping[str, float] | None]


class Calibrator:
    """Makes calibrations and says which one is in force."""

    def __init__(
        self,
        database: Database,
        retriever: Retriever,
        *,
        clock: Callable[[], datetime],
        settle_s: float = 3.0,
        seed: int = 20_261_101,
    ) -> None:
        self.in_force = InForce(model=CalibrationModel())
        self._database = database
        self._retriever = retriever
        self._clock = clock
        self._settle_s = settle_s  # publishes come in bursts: wait for the last
        self._seed = seed
        self._task: asyncio.Task[None] | None = None

    @property
    def fingerprint(self) -> str:
        return self._retriever.batcher.embedder.fingerprint

    @property
    def fits(self) -> bool:
        """Whether the calibration in force was made for the base as it is."""
        made_for = (self.in_force.knowledge_version, self.in_force.fingerprint)
        return made_for == (self._retriever.version, self.fingerprint)

    @property
    def fits_embedder(self) -> bool:
        """Whether the calibration in force was made with the embedder that is searched with."""
        return self.in_force.fingerprint in ("", self.fingerprint)

    async def load(self) -> None:
        """Take up the stored calibration, if it was made with this embedder and code."""
        row = await self._database.read(store.newest_calibration)
        if row is None or row.fingerprint != self.fingerprint:
            self._put_in_force(InForce(model=CalibrationModel()))
            return
        model = CalibrationModel.from_json(row.model)
        if model is not None:
            report = CalibrationReport(**row.report)
            self._put_in_force(
                InForce(
                    id=row.id,
                    model=model,
                    report=report,
                    knowledge_version=row.knowledge_version,
                    fingerprint=row.fingerprint,
                )
            )

    def schedule(self) -> None:
        """Calibrate soon, unless the one in force fits the base. A new call waits anew."""
        if self._task is not None:
            self._task.cancel()
        if not self.fits:
            self._task = asyncio.create_task(self._later())

    async def settled(self) -> None:
        """Wait until what was scheduled is in force."""
        if self._task is not None:
            await self._task

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def calibrate(self) -> CalibrationReport:
        """Make a calibration for the base as it is, store it, put it in force."""
        version, state = self._retriever.version, self._retriever.keywords.state
        fitness: dict[Language, float] = {}
        asked: dict[Language, _Asked] = {}
        for language, questions in (await self._questions(state)).items():
            cosines = await self._near(state, language, questions)
            asked[language] = _Asked(questions, cosines)
            fitness[language] = _found_again(state, asked[language])
        outcomes: dict[Language, PseudoOutcomes] = {
            language: await asyncio.to_thread(self._outcomes, state, some, fitness[language])
            for language, some in asked.items()
        }
        model, report = await asyncio.to_thread(_made, outcomes, fitness)
        row = models.Calibration(
            id=new_id(),
            knowledge_version=version,
            fingerprint=self.fingerprint,
            model=model.as_json(),
            report=asdict(report),
            created_at=self._clock(),
        )
        await self._database.write(lambda session: store.save_calibration(session, row))
        self._put_in_force(
            InForce(
                id=row.id,
                model=model,
                report=report,
                knowledge_version=version,
                fingerprint=row.fingerprint,
            )
        )
        return report

    async def _later(self) -> None:
        wait_s = self._settle_s
        while True:
            await asyncio.sleep(wait_s)
            try:
                report = await self.calibrate()
            except (DatabaseError, IndexUnavailable, ModelUnavailable) as error:
                log.warning("calibration put off", reason=str(error))
                wait_s = _RETRY_WAIT_S
            else:
                log.info("calibrated", n=report.n, far=round(report.far, 3))
                return

    def _put_in_force(self, calibration: InForce) -> None:
        self.in_force = calibration
        self._retriever.fitness = calibration.model.fitness

    async def _questions(self, state: KeywordState) -> dict[Language, list[PseudoQuestion]]:
        """By language, in proportion to the base, but enough of each."""
        dice = random.Random(self._seed)
        total = max(int(state.alive.sum()), 1)
        made: dict[Language, list[PseudoQuestion]] = {}
        for language in LANGUAGES:
            mine = np.flatnonzero(state.in_language(language) & state.alive).tolist()
            rows = [row for row in mine if state.rows[row].entry.entry_id is None]
            if len(rows) < _PASSAGES_MIN:
                continue
            some = dice.sample(rows, min(len(rows), _PASSAGES_READ_MAX))
            passages = await self._passages(state, some, language)
            count = max(_QUESTIONS_PER_LANGUAGE_MIN, _QUESTIONS * len(rows) // total)
            questions = await asyncio.to_thread(pseudo_questions, passages, count=count, dice=dice)
            if questions:
                made[language] = questions
        return made

    async def _passages(
        self, state: KeywordState, rows: Sequence[int], language: Language
    ) -> list[Passage]:
        row_of = {state.rows[row].entry.chunk_id: row for row in rows}
        revisions = sorted({state.rows[row].entry.revision_id for row in rows})
        chunks = await self._database.read(lambda session: store.live_chunks(session, revisions))
        texts = {chunk.chunk_id: chunk.text for chunk in chunks}
        return [
            Passage(row, texts[chunk_id], language)
            for chunk_id, row in row_of.items()
            if chunk_id in texts
        ]

    async def _near(
        self, state: KeywordState, language: Language, questions: Sequence[PseudoQuestion]
    ) -> list[Mapping[str, float] | None]:
        """The vector leg for each question, deep enough that a document can be taken out of it."""
        unknown = self._retriever.batcher.embedder.unknown_share
        texts = [question.text for question in questions]
        shares = await asyncio.to_thread(lambda: [unknown(text) for text in texts[:50]])
        if float(np.median(shares)) > 0.4:
            return [None] * len(questions)
        own = max((len(rows) for rows in _by_source(state).values()), default=0)
        limit = _NEAR_MAX + min(own, _OWN_MAX)
        found: list[Mapping[str, float] | None] = []
        for start in range(0, len(texts), _NEAR_BATCH):
            found += await self._retriever.near(texts[start : start + _NEAR_BATCH], limit=limit)
        return found

    def _outcomes(self, state: KeywordState, asked: _Asked, fitness: float) -> PseudoOutcomes:
        """Each question twice: with its passage in the base, and as if never indexed."""
        visible = state.alive
        sources = _by_source(state)
        present: list[Floats] = []
        absent: list[Floats] = []
        right: list[bool] = []
        for at, (question, cosines) in enumerate(zip(asked.questions, asked.cosines, strict=True)):
            query, _ = self._retriever.prepare(state, Question(text=question.text))
            query = replace(query, fitness=query.fitness if fitness else 0.0)
            ranking = rank(state, query, cosines, visible=visible)
            entry = state.rows[question.row].entry
            top = state.rows[ranking.hits[0].row].entry if ranking.hits else None
            right.append(top is not None and _same_answer(top, entry))
            present.append(as_row(features(state, ranking)))
            few = len(sources) < _DOCUMENTS_MANY
            passage = state.by_hash[entry.content_hash] + state.by_entry[entry.answers_as]
            out = passage if few and at % 2 else sources[entry.source_id]
            left = rank(state, query, cosines, visible=visible, without=_rows_mask(state, out))
            absent.append(as_row(features(state, left)))
        return PseudoOutcomes(
            present=np.array(present, np.float64),
            absent=np.array(absent, np.float64),
            right=np.array(right, np.bool_),
        )


def _made(
    outcomes: Mapping[Language, PseudoOutcomes], fitness: Mapping[Language, float]
) -> tuple[CalibrationModel, CalibrationReport]:
    lines: dict[Language, list[Line]] = {}
    unseen: dict[Language, npt.NDArray[np.float64]] = {}
    for language, outcome in outcomes.items():
        line, unseen[language] = self_calibrated(outcome, vectors=fitness[language] > 0)
        lines[language] = [line]
    cuts: dict[Language, float] = {language: some[0].t_answer for language, some in lines.items()}
    return CalibrationModel(lines=lines, fitness=fitness), report_on(outcomes, unseen, cuts)


def _found_again(state: KeywordState, asked: _Asked) -> float:
    """The embedder's fitness for a language, 0..1: how often a question's own passage is among
    the nearest."""
    hits = [
        state.rows[question.row].entry.content_hash in list(cosines)[:_FOUND_AGAIN_DEPTH]
        for question, cosines in zip(asked.questions, asked.cosines, strict=True)
        if cosines is not None
    ]
    return min(1.0, float(np.mean(hits)) / _FOUND_AGAIN_MIN) if hits else 0.0


def _same_answer(one: Entry, other: Entry) -> bool:
    return one.content_hash == other.content_hash or one.answers_as == other.answers_as


def _by_source(state: KeywordState) -> dict[str, list[int]]:
    rows: dict[str, list[int]] = {}
    for at, row in enumerate(state.rows):
        if state.alive[at]:
            rows.setdefault(row.entry.source_id, []).append(at)
    return rows


def _rows_mask(state: KeywordState, rows: Sequence[int]) -> Mask:
    mask = np.zeros(len(state.rows), np.bool_)
    mask[list(rows)] = True
    return mask
