"""Questions cut from the base's own passages: what calibration asks when nobody has labelled any.

A pseudo-question is a stretch of a sentence with words left out and others put in, so that it
shares about as many terms with its passage as a person's question does. Pure and seeded.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag.language import content_terms, has_han
from rag.types import Language

# Measured on public question sets: with these shares the questions whose passage was taken out
# find about as much as people's unanswerable questions do.
_LEFT_OUT = 0.35
_PUT_IN = 0.55
_WORDS = {"en": (7, 15), "zh": (4, 9)}
_TERMS_MIN = 2
_TRIES = 4

_SENTENCE_END = re.compile(r"(?<=[.!?。！？；;])\s+|(?<=[。！？；])|\n+")
_WORD = re.compile(r"\w[\w.\-'’+#]*")
_HAN_RUN = re.compile(r"[\u3400-\u9fff]+|[A-Za-z0-9][\w.\-+#]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class PseudoQuestion:
    """A question made from the row of that number."""

    row: int
    text: str


@dataclass(frozen=True, slots=True)
class Passage:
    """A live chunk that questions may be made from."""

    row: int
    text: str
    language: Language


def pseudo_questions(
    passages: Sequence[Passage], *, count: int, dice: random.Random
) -> list[PseudoQuestion]:
    """At most `count` questions, spread over the passages. Fewer where texts say too little."""
    if not passages:
        return []
    order = list(passages)
    dice.shuffle(order)
    made: list[PseudoQuestion] = []
    seen: set[str] = set()
    for turn in range(count * 2):
        passage, other = order[turn % len(order)], dice.choice(order)
        text = _question(passage, other, dice)
        if text and text not in seen:
            seen.add(text)
            made.append(PseudoQuestion(passage.row, text))
        if len(made) == count:
            break
    return made


def _question(passage: Passage, other: Passage, dice: random.Random) -> str:
    sentences = [part for part in _SENTENCE_END.split(passage.text) if part.strip()]
    strangers = _words(dice.choice(_SENTENCE_END.split(other.text) or [""]), passage.language)
    for _ in range(_TRIES):
        words = _stretch(_words(dice.choice(sentences or [""]), passage.language), passage, dice)
        text = ("" if passage.language == "zh" else " ").join(_disturbed(words, strangers, dice))
        if len(content_terms(text)) >= _TERMS_MIN:
            return text
    return ""


def _words(sentence: str, language: Language) -> list[str]:
    """Words, or pairs of Han where nothing separates words."""
    if language == "en":
        return _WORD.findall(sentence)
    words: list[str] = []
    for run in _HAN_RUN.findall(sentence):
        words += [run[i : i + 2] for i in range(0, len(run), 2)] if has_han(run) else [run]
    return words


def _stretch(words: list[str], passage: Passage, dice: random.Random) -> list[str]:
    size = dice.randint(*_WORDS[passage.language])
    start = dice.randrange(max(1, len(words) - size + 1))
    return words[start : start + size]


def _disturbed(words: list[str], strangers: list[str], dice: random.Random) -> list[str]:
    kept: list[str] = []
    for word in words:
        if not content_terms(word) or dice.random() >= _LEFT_OUT:
            kept.append(word)
        elif strangers and dice.random() < _PUT_IN:
            kept.append(dice.choice(strangers))
    return kept
