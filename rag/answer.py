"""Question in, cited answer or honest refusal out.

`Librarian.answer` goes through five steps: is it a question at all, search, decide, write, check.
Only the decision may say that there is an answer; writing and checking can only take it back.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime

import numpy as np
import structlog

from rag import models, store
from rag.calibrate import Verdict
from rag.errors import ModelUnavailable
from rag.extract import Draft, Extractive
from rag.language import detect, overlap
from rag.ports import LanguageModel
from rag.recalibrate import Calibrator
from rag.retrieve import Found, Retriever
from rag.suggest import suggestions
from rag.turns import classify_turn
from rag.types import (
    Action,
    Answer,
    Candidate,
    Decision,
    Evidence,
    Language,
    LibrarianHealth,
    Question,
    Reason,
)
from rag.types import Verdict as AnswerVerdict
from rag.values import unsupported
from storage.database import Database, DatabaseError
from storage.ids import new_id, utc_now

log = structlog.get_logger()

_VERDICTS: dict[Action, AnswerVerdict] = {
    "answer": "answered",
    "suggest": "unsure",
    "decline": "out_of_scope",
}
# Below this share of the question's terms nothing in the base is about it.
_TOPIC_KNOWN_MIN = 0.35
_TOPIC_NEAR_MIN = 0.45  # cosine from which the topic counts as known by its meaning
_LOOK_ALIKE_COVERAGE_MIN = 0.5
_RARE_TERM_MIN = 0.99  # the missing term is as rare as any of the question's
_PASSAGES_MAX = 5  # that an answer may be written from


_NOTHING = Draft("", ())


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What was decided, before it becomes an `Answer`."""

    decision: Decision
    draft: Draft = _NOTHING
    suggestions: tuple[str, ...] = ()


class Librarian:
    """Answers from the live documents. `refresh` must have run once; call it after each publish.

    `model` writes the answers when there is one; without it they are quoted. Safe for any number
    of questions at once on one event loop.
    """

    def __init__(
        self,
        database: Database,
        retriever: Retriever,
        *,
        calibrator: Calibrator | None = None,
        clock: Callable[[], datetime] = utc_now,
        model: LanguageModel | None = None,
    ) -> None:
        self.retriever = retriever
        self.calibrator = calibrator or Calibrator(database, retriever, clock=clock)
        self.model = model
        self._database = database
        self._clock = clock
        self._writer = Extractive()
        self._saving: set[asyncio.Task[None]] = set()

    async def refresh(self) -> None:
        """Follow what is live, and calibrate in the background if it changed."""
        if self.retriever.version < 0:
            await self.calibrator.load()
        await self.retriever.refresh()
        self.calibrator.schedule()

    async def close(self) -> None:
        """Finish saving records, stop calibrating."""
        await self.calibrator.close()
        await asyncio.gather(*self._saving, return_exceptions=True)

    async def answer(self, question: Question) -> Answer:
        """The answer, with its record saved in the background. Raises DatabaseError."""
        found, answer = await self.look(question)
        self._save(question, answer, found)
        self._follow(answer.knowledge_version)
        return answer

    async def look(self, question: Question) -> tuple[Found | None, Answer]:
        """The answer with all that was found for it, and nothing kept of it: for evaluation."""
        started = time.perf_counter()
        language = question.language or detect(question.text)
        if classify_turn(question.text) != "question":
            found, outcome = None, self._declined(Reason.NOT_A_QUESTION)
        elif not self.retriever.knows_anything(question.audience):
            found, outcome = None, self._declined(Reason.EMPTY_BASE)
        else:
            found = await self.retriever.search(question)
            outcome = await asyncio.to_thread(self._outcome, question, found, language)
        timings = dict(found.timings_ms) if found else {}
        timings["total"] = round((time.perf_counter() - started) * 1000, 2)
        return found, Answer(
            text=outcome.draft.text,
            citations=outcome.draft.citations,
            verdict=_VERDICTS[outcome.decision.action],
            decision=outcome.decision,
            language=language,
            suggestions=outcome.suggestions,
            knowledge_version=(
                found.evidence.knowledge_version if found else max(self.retriever.version, 0)
            ),
            record_id=new_id(),
            timings_ms=timings,
        )

    async def alike(self, text: str, others: Sequence[str]) -> list[float]:
        """How much each of `others` asks the same as `text`, 0..1. By letters, and by meaning
        where the embedder reads the language."""
        by_letters = await asyncio.to_thread(lambda: [overlap(text, other) for other in others])
        if not others or self.retriever.vector_trouble:
            return by_letters
        embedder = self.retriever.batcher.embedder
        unknown = await asyncio.to_thread(
            lambda: [embedder.unknown_share(one) for one in (text, *others)]
        )
        fit = [max(unknown[0], one) < 0.2 for one in unknown[1:]]
        if not any(fit):
            return by_letters
        try:
            vectors = await asyncio.gather(
                *(self.retriever.batcher.embed_query(one) for one in (text, *others))
            )
        except ModelUnavailable:
            return by_letters
        cosines = np.stack(vectors[1:]) @ vectors[0]
        return [
            max(letters, float(np.clip(cosine, 0, 1))) if is_fit else letters
            for letters, cosine, is_fit in zip(by_letters, cosines, fit, strict=True)
        ]

    async def health(self) -> LibrarianHealth:
        """What works; the index and the embedder are "ok" or a reason."""
        queued = await self._database.read(store.open_count)
        return LibrarianHealth(
            ready=self.retriever.version >= 0,
            index=self.retriever.vector_trouble or "ok",
            embedder="ok",
            knowledge_version=max(self.retriever.version, 0),
            chunks=len(self.retriever.keywords),
            queued=queued,
            settled=not queued and self.calibrator.fits,
        )

    def _outcome(self, question: Question, found: Found, language: Language) -> _Outcome:
        """Decide, write, check. Pure but for the calibration in force."""
        evidence = found.evidence
        if not evidence.candidates:
            return self._declined(Reason.FAR_OUT_OF_SCOPE)
        verdict = self.calibrator.in_force.model.decide(evidence.features, found.language)
        decision = self._decision(verdict, _reasons(verdict, found))
        if decision.action == "answer" and Reason.OTHER_LANGUAGE in decision.reasons:
            decision = replace(decision, action="suggest")
        if decision.action == "answer":
            candidates = evidence.candidates[:_PASSAGES_MAX]
            draft = self._writer.write(question.text, candidates)
            if draft.text and not _faults(draft, candidates):
                return _Outcome(decision, draft)
            reasons = (Reason.VALUE_CHECK, *decision.reasons[1:])
            return _Outcome(replace(decision, action="decline", reasons=reasons))
        if decision.action == "suggest":
            # In the other language even the same question is another one.
            asked = "" if Reason.OTHER_LANGUAGE in decision.reasons else question.text
            offered = suggestions(asked, evidence.candidates, language)
            if offered:
                return _Outcome(decision, suggestions=offered)
            reasons = (_why_not(evidence), *decision.reasons[1:])
            decision = replace(decision, action="decline", reasons=reasons)
        return _Outcome(decision)

    def _decision(self, verdict: Verdict, reasons: tuple[Reason, ...]) -> Decision:
        return Decision(
            action=verdict.action,
            p=verdict.p,
            t_answer=verdict.t_answer,
            t_suggest=verdict.t_suggest,
            reasons=reasons,
            calibration_id=self.calibrator.in_force.id,
        )

    def _declined(self, reason: Reason) -> _Outcome:
        """A refusal that needed no evidence."""
        verdict = self.calibrator.in_force.model.decide({}, "en")
        return _Outcome(self._decision(replace(verdict, action="decline", p=0.0), (reason,)))

    def _save(self, question: Question, answer: Answer, found: Found | None) -> None:
        """Keep the record without anybody waiting for it. A lost record costs an explanation."""
        record = models.Record(
            id=answer.record_id,
            question=asdict(question),
            features=dict(found.evidence.features) if found else {},
            decision=asdict(answer.decision),
            chunk_hashes=list(found.hashes) if found else [],
            knowledge_version=answer.knowledge_version,
            timings_ms=dict(answer.timings_ms),
            created_at=self._clock(),
        )
        task = asyncio.create_task(self._keep(record))
        self._saving.add(task)
        task.add_done_callback(self._saving.discard)

    async def _keep(self, record: models.Record) -> None:
        try:
            await self._database.write(lambda session: store.save_record(session, record))
        except DatabaseError as error:
            log.warning("record lost", record_id=record.id, reason=str(error))

    def _follow(self, version: int) -> None:
        """Another process may have published: follow, without delaying this answer."""
        if version == self.retriever.version:
            return
        task = asyncio.create_task(self.refresh())
        self._saving.add(task)
        task.add_done_callback(self._saving.discard)


def _reasons(verdict: Verdict, found: Found) -> tuple[Reason, ...]:
    """Why, the main reason first."""
    evidence = found.evidence
    reasons: list[Reason] = []
    if verdict.action == "answer":
        reasons.append(Reason.CONFIDENT)
    elif verdict.action == "suggest":
        reasons.append(Reason.BETWEEN)
    else:
        reasons.append(_why_not(evidence))
    if verdict.action != "decline" and evidence.candidates[0].language != found.language:
        reasons.append(Reason.OTHER_LANGUAGE)
    if not found.vectors_used:
        reasons.append(Reason.KEYWORDS_ONLY)
    return tuple(reasons)


def _why_not(evidence: Evidence) -> Reason:
    """Far away, near but without the passage, or a passage that only looks alike."""
    seen = evidence.features
    knows_topic = seen["coverage_any"] >= _TOPIC_KNOWN_MIN or seen["vector_top"] >= _TOPIC_NEAR_MIN
    if not knows_topic:
        return Reason.FAR_OUT_OF_SCOPE
    lacks_the_rare = seen["rarest_missing"] >= _RARE_TERM_MIN
    if lacks_the_rare and seen["coverage_top"] >= _LOOK_ALIKE_COVERAGE_MIN:
        return Reason.LOOK_ALIKE
    return Reason.NO_PASSAGE


def _faults(draft: Draft, candidates: Sequence[Candidate]) -> tuple[str, ...]:
    """What the draft says and no cited passage holds."""
    passages: dict[int, str] = {}
    for citation in draft.citations:
        held = [one.text for one in candidates if one.source == citation.source]
        passages[citation.n] = next((text for text in held if citation.quote in text), "")
    return unsupported(draft.text, draft.citations, passages)
