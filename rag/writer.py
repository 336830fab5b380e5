"""What a language model does for an answer: restate, translate, write, and sum a talk up.

Each verb builds its prompt, pays for it, asks, and believes nothing of what comes back. Where the
model is down, over its budget or not to be believed, the caller goes on without it.
"""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Literal

from rag import prompts
from rag.budget import Budget, Purse
from rag.errors import ModelBroken, ModelUnavailable
from rag.extract import NOTHING, Draft, cite
from rag.gate import Gate, Rolling, cited_in_order, renumbered, sentences
from rag.ports import LanguageModel, ModelLimits, ModelUse
from rag.prompts import NOT_IN_PASSAGES, Prompt
from rag.summary import read_summary
from rag.tokens import estimate_tokens
from rag.types import (
    Candidate,
    Citation,
    Language,
    ModelCall,
    NumberedLine,
    Question,
    Summary,
)

Show = Callable[[str], None]
Outcome = Literal["written", "not_in_passages", "held_back", "unavailable"]

_ASIDE = ModelLimits(
    answer_tokens_max=200, first_token_wait_s=6.0, idle_wait_s=3.0, total_wait_s=8.0, hurried=True
)  # of restating and translating: a help, not worth a long wait
_LENGTH_MIN, _LENGTH_MAX = 0.15, 6.0  # of a translation; Chinese takes a third of the characters
_QUESTION_CHARS_MAX = 400  # of a restated or translated one


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What came of writing. `faults` say why a text was held back."""

    outcome: Outcome
    draft: Draft = NOTHING
    faults: tuple[str, ...] = ()


@dataclass(slots=True)
class Turn:
    """One question's dealings with the model: its purse, its end, and each call that was made."""

    purse: Purse
    ends_at: float  # in the time of time.monotonic
    calls: list[ModelCall] = field(default_factory=list[ModelCall])
    is_over: bool = False  # the model failed or the budget is spent: it is not asked again


class ModelWriter:
    """Asks a language model on behalf of the librarian."""

    def __init__(
        self, model: LanguageModel, budget: Budget, limits: ModelLimits | None = None
    ) -> None:
        self.model = model
        self.budget = budget
        self.limits = limits or ModelLimits()

    def begin(self, asker: str) -> Turn:
        """A turn that ends in time for its caller to go on without a model."""
        return Turn(self.budget.for_turn(asker), time.monotonic() + self.limits.total_wait_s)

    async def restate(self, turn: Turn, question: Question, language: Language) -> str | None:
        """A follow-up as a question of its own; None if there is no better one."""
        said = await self._aside(turn, prompts.restate_prompt(question, language))
        return said if said and said != question.text.strip() else None

    async def translate(
        self, turn: Turn, text: str, languages: tuple[Language, Language]
    ) -> str | None:
        """`text` from the first language in the second one."""
        return await self._aside(turn, prompts.translate_prompt(text, *languages))

    async def write(
        self,
        turn: Turn,
        question: Question,
        language: Language,
        candidates: Sequence[Candidate],
        *,
        show: Show | None = None,
    ) -> Written:
        """The answer with its citations, or why there is none."""
        prompt = prompts.answer_prompt(question, language, candidates)
        used = candidates[: prompt.passages]
        gate = Gate(
            prompt=prompt,
            passages={n: _known(one) for n, one in enumerate(used, 1)},
            question=question.text,
            language=language,
        )
        rolling = Rolling(gate, show) if show else None
        text = await self._whole(turn, prompt, self.limits, rolling.take if rolling else None)
        if text is None:
            return Written(outcome="unavailable")
        if text.lstrip(" \n`*\"'").startswith(NOT_IN_PASSAGES):
            return Written(outcome="not_in_passages")
        faults = await asyncio.to_thread(gate.faults, text)
        if faults:
            return Written(outcome="held_back", faults=tuple(map(str, faults)))
        return Written(outcome="written", draft=_draft(text.strip(), used))

    async def translate_quote(
        self, turn: Turn, draft: Draft, language: Language, candidates: Sequence[Candidate]
    ) -> Written:
        """A quoted answer in the customer's language: the same marks, values and addresses, about
        the same length. Nobody's question is in the prompt, so nobody's can steer it."""
        prompt = prompts.quote_prompt(draft.text, language)
        text = await self._whole(turn, prompt, self.limits)
        if text is None:
            return Written(outcome="unavailable")
        sources = {one.n: _cited(one, candidates) for one in draft.citations}
        gate = Gate(
            prompt=prompt, passages=sources, question="", language=language, translated=True
        )
        faults = list(map(str, await asyncio.to_thread(gate.faults, text)))
        if sorted(cited_in_order(text)) != sorted(one.n for one in draft.citations):
            faults.append("marks")
        if not _LENGTH_MIN <= len(text) / max(len(draft.text), 1) <= _LENGTH_MAX:
            faults.append("length")
        if faults:
            return Written(outcome="held_back", faults=tuple(faults))
        return Written(outcome="written", draft=Draft(text.strip(), draft.citations))

    async def summarise(
        self, turn: Turn, lines: Sequence[NumberedLine], language: Language
    ) -> Summary:
        """A talk in three lines that each name theirs; empty where that cannot be believed."""
        limits = replace(self.limits, answer_tokens_max=400)
        text = await self._whole(turn, prompts.brief_prompt(lines, language), limits)
        return read_summary(text, lines, language) if text else Summary()

    async def _aside(self, turn: Turn, prompt: Prompt) -> str | None:
        """A question on one line."""
        said = await self._whole(turn, prompt, _ASIDE)
        said = (said or "").strip().strip("\"'“”「」")
        is_line = 0 < len(said) <= _QUESTION_CHARS_MAX and "\n" not in said
        core = prompt.mark.strip("=")
        return said if is_line and core not in said and "://" not in said else None

    async def _whole(
        self, turn: Turn, prompt: Prompt, limits: ModelLimits, take: Show | None = None
    ) -> str | None:
        """All that the model says to a prompt, or None. Each piece is given to `take`."""
        if turn.is_over:
            return None
        began, text, use, failure = time.monotonic(), "", None, ""
        left_s = max(0.1, turn.ends_at - began)
        limits = replace(limits, total_wait_s=min(limits.total_wait_s, left_s))
        try:
            async with aclosing(self._paid(turn, prompt, limits)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, ModelUse):
                        use = piece
                        continue
                    text += piece
                    if take:
                        take(piece)
        except ModelUnavailable as error:
            failure = f"{type(error).__name__}: {error}"
            turn.is_over = not isinstance(error, ModelBroken)
        turn.calls.append(_call(prompt, use, failure, (time.monotonic() - began) * 1000))
        return None if failure else prompts.shown_to_model(text)

    async def _paid(
        self, turn: Turn, prompt: Prompt, limits: ModelLimits
    ) -> AsyncGenerator[str | ModelUse]:
        """What the model says, paid from the turn's purse: at most first, then what it cost."""
        most = prompt.tokens + limits.answer_tokens_max
        day = await turn.purse.take(most)
        cost, text = prompt.tokens, ""
        try:
            async with aclosing(self.model.complete(prompt.messages, limits)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, ModelUse):
                        cost, text = piece.prompt_tokens + piece.answer_tokens, ""
                    else:
                        text += piece
                    yield piece
        finally:
            # Shielded: who hangs up in the middle has still had what was said.
            await asyncio.shield(turn.purse.settle(day, most, cost + estimate_tokens(text)))


def _call(prompt: Prompt, use: ModelUse | None, failure: str, took_ms: float) -> ModelCall:
    return ModelCall(
        prompt=prompt.id,
        model=use.model if use else "",
        prompt_tokens=use.prompt_tokens if use else 0,
        answer_tokens=use.answer_tokens if use else 0,
        first_token_ms=use.first_token_ms if use else 0.0,
        total_ms=round(took_ms, 1),
        failure=failure,
    )


def _known(candidate: Candidate) -> str:
    """A passage with all that stood above it, as the model was shown it."""
    return f"{prompts.heading(candidate)}\n{candidate.text}\n{candidate.url or ''}"


def _cited(citation: Citation, candidates: Sequence[Candidate]) -> str:
    """The passage that a citation quotes."""
    holders = (one for one in candidates if citation.quote in one.text)
    found = next((one for one in holders if one.source == citation.source), None)
    return _known(found) if found else citation.quote


def _draft(text: str, used: Sequence[Candidate]) -> Draft:
    """The text with its marks numbered from 1, each with the words it rests on."""
    order = cited_in_order(text)
    citations: list[Citation] = []
    for number, passage in enumerate(order, 1):
        said = " ".join(one for one in sentences(text) if f"[{passage}]" in one)
        citations.append(cite(used[passage - 1], re.sub(r"\[\d+\]", "", said), number))
    return Draft(renumbered(text, order), tuple(citations))
