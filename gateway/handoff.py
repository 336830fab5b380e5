"""Who should answer next: pure rules over what is known, thresholds as arguments.

`before_answer` looks at the customer's message, `after_answer` at what the librarian said.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.messages import Action
from rag.types import Answer, Reason

SignalName = Literal[
    "asked", "repeated", "low_confidence", "out_of_words", "failed", "old", "agent"
]


@dataclass(frozen=True, slots=True)
class Signal:
    """A reason to call a person, with the words or numbers behind it, for the agent to read."""

    name: SignalName
    evidence: str = ""
    value: float = 1.0


@dataclass(frozen=True, slots=True)
class HandOver:
    """A person is called, for these reasons."""

    signals: tuple[Signal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOffRules:
    """The thresholds. Every one is a setting."""

    repeats_max: int = 3  # the same question this many times calls a person
    alike_min: float = 0.86  # similarity from which two questions are the same one
    declines_max: int = 2  # refusals in a row before a person is called
    offers_max: int = 1  # rounds of "did you mean" before a person is called
    bot_turns_per_minute_max: int = 6  # loop breaker: two bots talking to each other


@dataclass(frozen=True, slots=True)
class Words:
    """The words that ask for a person, and those that only ask how one would."""

    asks: re.Pattern[str]
    how: re.Pattern[str]

    @classmethod
    def from_lists(cls, asks: Sequence[str], how: Sequence[str]) -> "Words":
        """Compile plain phrases. Latin ones match whole words only ("agents" is not "agent")."""
        return cls(_any_of(asks), _any_of(how))


def _any_of(phrases: Sequence[str]) -> re.Pattern[str]:
    parts = (
        rf"\b{re.escape(p)}\b" if p.isascii() else re.escape(p)
        for p in sorted(phrases, key=len, reverse=True)
    )
    return re.compile("|".join(parts) or r"(?!)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the customer said now, and what the conversation already knows."""

    text: str
    action: Action | None = None
    unreadable: bool = False  # only things the bot cannot read: voice, sticker, …
    asked_before: bool = False  # words for a person were used earlier in this conversation
    alike: Sequence[float] = ()  # similarity to each earlier question of this conversation
    bot_turns_last_minute: int = 0
    minutes_old: float = 0.0


def before_answer(
    told: Told, words: Sequence[Words], rules: HandOffRules, *, minutes_old_max: float = 30.0
) -> HandOver | None:
    """A hand-over that needs no look into the documents, or None."""
    signals = [
        signal
        for signal in (
            _asked(told, words),
            _repeated(told, rules),
            Signal("out_of_words") if told.unreadable else None,
            Signal("old", f"{told.minutes_old:.0f} min")
            if told.minutes_old > minutes_old_max
            else None,
            Signal("failed", "bot turns a minute", told.bot_turns_last_minute)
            if told.bot_turns_last_minute >= rules.bot_turns_per_minute_max
            else None,
        )
        if signal is not None
    ]
    return HandOver(tuple(signals)) if signals else None


def _asked(told: Told, words: Sequence[Words]) -> Signal | None:
    if told.action == "human":
        return Signal("asked", "button")
    if told.text.strip().lower().startswith("/human"):
        return Signal("asked", "/human")
    for language in words:
        found = language.asks.search(told.text)
        # "How do I reach a person?" is answered from the documents, with the button; asking
        # again means it.
        if found and (told.asked_before or not language.how.search(told.text)):
            return Signal("asked", found.group())
    return None


def _repeated(told: Told, rules: HandOffRules) -> Signal | None:
    times = 1 + sum(score >= rules.alike_min for score in told.alike)
    return Signal("repeated", f"{times}×", times) if times >= rules.repeats_max else None


@dataclass(frozen=True, slots=True)
class Reply:
    """What the bot does with an answer: say it, offer candidates, say it does not know, or call a
    person. `phrase` names the words used around it."""

    kind: Literal["say", "offer", "decline", "courtesy", "hand_over"]
    hand_over: HandOver | None = None


def after_answer(
    answer: Answer, rules: HandOffRules, *, declines: int = 0, offers: int = 0
) -> Reply:
    """`declines` and `offers` count the bot's refusals and offers in a row before this turn."""
    decision = answer.decision
    if Reason.NOT_A_QUESTION in decision.reasons:
        return Reply("courtesy")
    if answer.verdict == "answered":
        return Reply("say")
    if decision.action == "suggest" and answer.suggestions and offers < rules.offers_max:
        return Reply("offer")
    if declines + offers + 1 >= rules.declines_max + (decision.action == "suggest"):
        evidence = f"p {decision.p:.2f}, needed {decision.t_answer:.2f}"
        return Reply("hand_over", HandOver((Signal("low_confidence", evidence, decision.p),)))
    return Reply("decline")


def as_words(hand_over: HandOver) -> Mapping[str, str]:
    """The signals as plain data, for the case and the audit."""
    return {signal.name: signal.evidence for signal in hand_over.signals}
