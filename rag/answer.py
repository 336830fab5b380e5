"""Question in, cited answer or honest refusal out.

`Librarian.answer` goes through five steps: is it a question at all, search, decide, write, check.
Only the decision may say that there is an answer; writing and checking can only take it back. A
language model, where there is one, may look for better evidence and write; it decides nothing.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import structlog

from rag import models, store
from rag.calibrate import Verdict
from rag.decide import faults_of, reasons_of, taken_back, why_not
from rag.errors import ModelUnavailable, SourceUnknown
from rag.explain import differences, explanation_of, record_of
from rag.extract import NOTHING, Draft, Extractive
from rag.language import detect, overlap
from rag.recalibrate import Calibrator
from rag.retrieve import Found, Retriever
from rag.suggest import suggestions
from rag.turns import classify_turn
from rag.types import (
    Action,
    Answer,
    Decision,
    Explanation,
    Language,
    LibrarianHealth,
    NumberedLine,
    Question,
    Reason,
    Summary,
    Writing,
)
from rag.types import Verdict as AnswerVerdict
from rag.writer import ModelWriter, Show, Turn, Written
from storage.database import Database, DatabaseError
from storage.ids import new_id, utc_now

log = structlog.get_logger()

_VERDICTS: dict[Action, AnswerVerdict] = {
    "answer": "answered",
    "suggest": "unsure",
    "decline": "out_of_scope",
}
_OTHER: dict[Language, Language] = {"en": "zh", "zh": "en"}
_PASSAGES_MAX = 5  # that an answer may be written from


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What was decided, before it becomes an `Answer`."""

    decision: Decision
    draft: Draft = NOTHING
    suggestions: tuple[str, ...] = ()
    writer: str = ""


@dataclass(slots=True)
class _Inquiry:
    """One question on its way: what was found for it so far, and what a model did for it."""

    question: Question
    language: Language
    show: Show | None
    turn: Turn | None
    found: Found | None = None
    restated: str = ""
    translated: str = ""
    faults: tuple[str, ...] = ()

    @property
    def asked(self) -> str:
        """The question as the evidence was found by it."""
        return self.restated or self.question.text

    def writing(self, outcome: _Outcome) -> Writing:
        return Writing(
            writer=outcome.writer, text=outcome.draft.text, restated=self.restated,
            translated=self.translated, faults=self.faults,
            calls=tuple(self.turn.calls) if self.turn else (),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Looked:
    """An answer with all that it came from."""

    answer: Answer
    found: Found | None
    writing: Writing


class Librarian:
    """Answers from the live documents. `refresh` must have run once; call it after each publish.

    `writer` writes the answers when there is one; without it they are quoted. Safe for any number
    of questions at once on one event loop.
    """

    def __init__(
        self,
        database: Database,
        retriever: Retriever,
        *,
        calibrator: Calibrator | None = None,
        clock: Callable[[], datetime] = utc_now,
        writer: ModelWriter | None = None,
    ) -> None:
        self.retriever = retriever
        self.calibrator = calibrator or Calibrator(database, retriever, clock=clock)
        self.writer = writer
        self._database = database
        self._clock = clock
        self._extractive = Extractive()
        self._saving: set[asyncio.Task[None]] = set()

    async def refresh(self) -> None:
        """Follow what is live, and calibrate in the background if it changed."""
        if self.retriever.version < 0 or not self.calibrator.fits_embedder:
            await self.calibrator.load()
        await self.retriever.refresh()
        self.calibrator.schedule()

    async def close(self) -> None:
        """Finish saving records, stop calibrating."""
        await self.calibrator.close()
        await asyncio.gather(*self._saving, return_exceptions=True)

    async def answer(self, question: Question) -> Answer:
        """The answer, with its record saved in the background. Raises DatabaseError."""
        return await self._recorded(question, None)

    async def answer_aloud(self, question: Question, show: Show) -> Answer:
        """The same; while a model writes, `show` is given as much of the text as may be seen
        already, again and again."""
        return await self._recorded(question, show)

    async def _recorded(self, question: Question, show: Show | None) -> Answer:
        looked = await self.look_closely(question, show)
        answer = looked.answer
        record = record_of(question, answer, looked.found, looked.writing, self._clock())
        self._in_background(self._keep(record))
        self._follow(answer.knowledge_version)
        return answer

    async def look(self, question: Question) -> tuple[Found | None, Answer]:
        """The answer with all that was found for it, and nothing kept of it: for evaluation."""
        looked = await self.look_closely(question)
        return looked.found, looked.answer

    async def look_closely(self, question: Question, show: Show | None = None) -> Looked:
        """The answer, how it was found, and how it came to its words. Nothing is kept."""
        started = time.perf_counter()
        inquiry = _Inquiry(
            question=question, language=question.language or detect(question.text), show=show,
            turn=self.writer.begin(question.asker) if self.writer else None,
        )  # fmt: skip
        outcome = await self._outcome(inquiry)
        found, writing = inquiry.found, inquiry.writing(outcome)
        timings = dict(found.timings_ms) if found else {}
        if writing.calls:
            timings["model"] = round(sum(call.total_ms for call in writing.calls), 2)
        timings["total"] = round((time.perf_counter() - started) * 1000, 2)
        answer = Answer(
            text=outcome.draft.text,
            citations=outcome.draft.citations,
            verdict=_VERDICTS[outcome.decision.action],
            decision=outcome.decision,
            language=inquiry.language,
            suggestions=outcome.suggestions,
            knowledge_version=(
                found.evidence.knowledge_version if found else max(self.retriever.version, 0)
            ),
            record_id=new_id(),
            timings_ms=timings,
        )
        return Looked(answer, found, writing)

    async def explain(self, record_id: str, *, replay: bool = False) -> Explanation:
        """Why an answer was given; with `replay` what today's base would do otherwise. Raises
        SourceUnknown, DatabaseError."""
        record = await self._database.read(lambda session: store.load_record(session, record_id))
        if record is None:
            raise SourceUnknown("no record has that id")
        then = explanation_of(record)
        if not replay:
            return then
        again = await self.look_closely(then.question)
        now = record_of(then.question, again.answer, again.found, again.writing, self._clock())
        return replace(then, replayed=True, differences=differences(then, now))

    async def summarise(
        self, lines: Sequence[NumberedLine], language: Language, asker: str = ""
    ) -> Summary:
        """A talk in three lines; empty without a model, or where it cannot be believed."""
        if self.writer is None or not lines:
            return Summary()
        return await self.writer.summarise(self.writer.begin(asker), lines, language)

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
            async with self.retriever.spaces.using() as space:
                vectors = await asyncio.gather(
                    *(space.batcher.embed_query(one) for one in (text, *others))
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

    async def _outcome(self, inquiry: _Inquiry) -> _Outcome:
        """Search, decide, write, check."""
        question = inquiry.question
        if classify_turn(question.text) != "question":
            return _Outcome(self._declined(Reason.NOT_A_QUESTION))
        if not self.retriever.knows_anything(question.audience):
            return _Outcome(self._declined(Reason.EMPTY_BASE))
        inquiry.found = await self.retriever.search(question)
        decision = await asyncio.to_thread(self._decide, inquiry.found)
        if inquiry.turn is not None and self.writer is not None:
            decision = await self._widened(inquiry, decision, self.writer)
            if decision.action == "answer":
                written = await self._written(inquiry, inquiry.found, decision, self.writer)
                inquiry.faults = written.faults
                if written.outcome == "written":
                    return _Outcome(decision, written.draft, writer="model")
                if written.outcome == "not_in_passages":
                    return _Outcome(taken_back(decision, Reason.NOT_IN_PASSAGES))
        return await asyncio.to_thread(self._without_model, inquiry, inquiry.found, decision)

    def _decide(self, found: Found) -> Decision:
        """Pure but for the calibration in force."""
        if not found.evidence.candidates:
            return self._declined(Reason.FAR_OUT_OF_SCOPE)
        verdict = self.calibrator.in_force.model.decide(found.evidence.features, found.language)
        return self._decision(verdict, reasons_of(verdict, found))

    async def _widened(
        self, inquiry: _Inquiry, decision: Decision, writer: ModelWriter
    ) -> Decision:
        """Look again with the question restated from the talk, then translated: only where the
        search without a model found no answer, and only if it finds one now."""
        question, turn = inquiry.question, inquiry.turn
        if decision.action == "answer" or turn is None:
            return decision
        if question.history:
            restated = await writer.restate(turn, question, inquiry.language)
            better = await self._looked_again(inquiry, restated, Reason.RESTATED)
            if better is not None:
                inquiry.restated = restated or ""
                return better
        other = _OTHER[inquiry.language]
        if other in self.retriever.languages(question.audience):
            languages = (inquiry.language, other)
            translated = await writer.translate(turn, question.text, languages)
            better = await self._looked_again(inquiry, translated, Reason.TRANSLATED)
            if better is not None:
                inquiry.translated = translated or ""
                return replace(better, reasons=(*better.reasons, Reason.OTHER_LANGUAGE))
        return decision

    async def _looked_again(
        self, inquiry: _Inquiry, text: str | None, reason: Reason
    ) -> Decision | None:
        """The decision on what another wording finds, if it is to answer."""
        if not text:
            return None
        found = await self.retriever.search(Question(text=text, audience=inquiry.question.audience))
        decision = await asyncio.to_thread(self._decide, found)
        if decision.action != "answer":
            return None
        inquiry.found = found
        return replace(decision, reasons=(*decision.reasons, reason))

    async def _written(
        self, inquiry: _Inquiry, found: Found, decision: Decision, writer: ModelWriter
    ) -> Written:
        """What the model writes; held back if a passage was withdrawn meanwhile."""
        question, turn = inquiry.question, inquiry.turn or writer.begin(inquiry.question.asker)
        candidates = found.evidence.candidates[:_PASSAGES_MAX]
        first = candidates[0].language
        candidates = tuple(one for one in candidates if one.language == first)
        if Reason.OTHER_LANGUAGE in decision.reasons or first != inquiry.language:
            asked = inquiry.translated or inquiry.asked
            draft = await asyncio.to_thread(self._extractive.write, asked, candidates)
            if not draft.text:
                return Written(outcome="held_back")
            written = await writer.translate_quote(turn, draft, inquiry.language, candidates)
        else:
            written = await writer.write(
                turn, question, inquiry.language, candidates, show=inquiry.show
            )
        if written.outcome != "written":
            return written
        cited = {citation.source for citation in written.draft.citations}
        ids = [one.chunk_id for one in candidates if one.source in cited]
        live = await self._database.read(lambda s: store.fetch_live(s, ids, question.audience))
        if len(live) < len(ids):
            return Written(outcome="held_back", faults=("withdrawn",))
        return written

    def _without_model(self, inquiry: _Inquiry, found: Found, decision: Decision) -> _Outcome:
        """Quote, offer what could be answered, or decline."""
        candidates = found.evidence.candidates
        is_other = Reason.OTHER_LANGUAGE in decision.reasons
        if decision.action == "answer" and is_other:
            decision = replace(decision, action="suggest")
        if decision.action == "answer":
            draft = self._extractive.write(inquiry.asked, candidates[:_PASSAGES_MAX])
            if draft.text and not faults_of(draft, candidates[:_PASSAGES_MAX]):
                return _Outcome(decision, draft, writer="quoted")
            return _Outcome(taken_back(decision, Reason.VALUE_CHECK))
        if decision.action == "suggest":
            # In the other language even the same question is another one.
            asked = "" if is_other else inquiry.asked
            offered = suggestions(asked, candidates, inquiry.language)
            if offered:
                return _Outcome(decision, suggestions=offered)
            return _Outcome(taken_back(decision, why_not(found.evidence)))
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

    def _declined(self, reason: Reason) -> Decision:
        """A refusal that needed no evidence."""
        verdict = self.calibrator.in_force.model.decide({}, "en")
        return self._decision(replace(verdict, action="decline", p=0.0), (reason,))

    async def _keep(self, record: models.Record) -> None:
        """A lost record costs an explanation, and nobody waits for one."""
        try:
            await self._database.write(lambda session: store.save_record(session, record))
        except DatabaseError as error:
            log.warning("record lost", record_id=record.id, reason=str(error))

    def _follow(self, version: int) -> None:
        """Another process may have published: follow, without delaying this answer."""
        if version != self.retriever.version:
            self._in_background(self.refresh())

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._saving.add(task)
        task.add_done_callback(self._saving.discard)
