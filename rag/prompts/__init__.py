"""What a language model is told: versioned texts in both languages, and material fenced as data.

Nothing here is a control. The rules in a prompt make good answers likely; what makes bad ones
impossible is `rag.gate`, which reads the answer and trusts nothing that it says.
"""

import secrets
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

from rag.ports import ModelMessage
from rag.tokens import estimate_tokens
from rag.types import Candidate, Language, NumberedLine, Question, Turn
from storage.text import without_hidden

Purpose = Literal["answer", "restate", "translate", "quote", "brief"]

PROMPT_TOKENS_MAX = 12_000
QUESTION_CHARS_MAX = 8_000  # the beginning of a longer one is left out
LINE_CHARS_MAX = 1_000  # of one earlier line of the talk
NOT_IN_PASSAGES = "NOT_IN_PASSAGES"
_TARGETS: Mapping[Language, Mapping[Language, str]] = {
    "en": {"en": "English", "zh": "Chinese (simplified)"},
    "zh": {"en": "英文", "zh": "简体中文"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A prompt ready to be sent. `id` names purpose, language and version; `mark` is random and
    has no business in any answer; `passages` is how many of them found room."""

    id: str
    messages: tuple[ModelMessage, ...]
    mark: str
    passages: int = 0

    @property
    def tokens(self) -> int:
        return sum(estimate_tokens(message.content) for message in self.messages)

    @property
    def rules(self) -> str:
        """The part that is ours."""
        return self.messages[0].content


class Fence:
    """Puts a border around material that nothing inside it can know or close."""

    def __init__(self, mark: str) -> None:
        self.mark = mark

    def around(self, text: str) -> str:
        return f"{self.mark} BEGIN\n{shown_to_model(text)}\n{self.mark} END"


def shown_to_model(text: str) -> str:
    """`text` without the characters that people do not see and a model reads."""
    return without_hidden(text)


def answer_prompt(
    question: Question, language: Language, candidates: Sequence[Candidate]
) -> Prompt:
    """Question, as many passages as find room, then as much of the talk as is left room for."""
    words, fence = _words(language)["answer"], Fence(new_mark())
    asked = fence.around(question.text[-QUESTION_CHARS_MAX:])
    system = words["system"].format(mark=fence.mark).strip()
    room = PROMPT_TOKENS_MAX - estimate_tokens(system + words["user"] + asked)
    passages, used = "", 0
    for n, one in enumerate(candidates, 1):
        text = f"{words['passage'].format(n=n)}\n"
        text += fence.around(f"({label(one.source)}) {heading(one)}\n{one.text}") + "\n\n"
        if (room := room - estimate_tokens(text)) < 0:
            break
        passages, used = passages + text, n
    lines = _lines(question.history, max(0, room - estimate_tokens(words["history"])))
    history = words["history"].format(lines=fence.around(lines)) if lines else ""
    user = words["user"].format(history=history, passages=passages, question=asked)
    return _prompt("answer", language, (system, user), fence.mark, passages=used)


def restate_prompt(question: Question, language: Language) -> Prompt:
    words, fence = _words(language)["restate"], Fence(new_mark())
    user = words["user"].format(
        lines=fence.around(_lines(question.history, PROMPT_TOKENS_MAX // 4)),
        question=fence.around(question.text[-QUESTION_CHARS_MAX // 4 :]),
    )
    return _prompt("restate", language, (words["system"].format(mark=fence.mark), user), fence.mark)


def translate_prompt(text: str, language: Language, target: Language) -> Prompt:
    words, fence = _words(language)["translate"], Fence(new_mark())
    system = words["system"].format(mark=fence.mark, target=_TARGETS[language][target])
    user = words["user"].format(question=fence.around(text[-QUESTION_CHARS_MAX // 4 :]))
    return _prompt("translate", language, (system, user), fence.mark)


def quote_prompt(text: str, target: Language) -> Prompt:
    """A quote with its marks, to be put into the customer's language. Neither their question nor
    the talk is in it."""
    words, fence = _words(target)["quote"], Fence(new_mark())
    system = words["system"].format(mark=fence.mark, target=_TARGETS[target][target])
    user = words["user"].format(text=fence.around(text[:QUESTION_CHARS_MAX]))
    return _prompt("quote", target, (system, user), fence.mark)


def brief_prompt(lines: Sequence[NumberedLine], language: Language) -> Prompt:
    words, fence = _words(language)["brief"], Fence(new_mark())
    told = [f"#{one.seq} {one.role}: {_one_line(one.text)}" for one in lines]
    user = words["user"].format(lines=fence.around(_newest(told, PROMPT_TOKENS_MAX // 2)))
    return _prompt("brief", language, (words["system"].format(mark=fence.mark), user), fence.mark)


def heading(candidate: Candidate) -> str:
    """Title and headings of a passage, as the model sees them above it."""
    return " › ".join(dict.fromkeys((candidate.title, *candidate.heading_path)))


def label(text: str) -> str:
    """A name from outside, short, on one line and without quotation marks."""
    return " ".join(shown_to_model(text).replace('"', "'").split())[:120]


def new_mark() -> str:
    """A border that nobody can guess."""
    return f"=={secrets.token_hex(8)}=="


@cache
def _words(language: Language) -> Mapping[str, Any]:
    text = resources.files("rag.prompts").joinpath(f"{language}.toml").read_text("utf-8")
    return tomllib.loads(text)


def version(language: Language) -> int:
    return int(_words(language)["version"])


def _prompt(
    purpose: Purpose, language: Language, texts: tuple[str, str], mark: str, *, passages: int = 0
) -> Prompt:
    system, user = texts
    return Prompt(
        id=f"{purpose}/{language}/{version(language)}",
        messages=(ModelMessage("system", system.strip()), ModelMessage("user", user.strip())),
        mark=mark,
        passages=passages,
    )


def _lines(history: Sequence[Turn], tokens_max: int) -> str:
    return _newest([f"{turn.role}: {_one_line(turn.text)}" for turn in history], tokens_max)


def _newest(lines: Iterable[str], tokens_max: int) -> str:
    """The newest lines that find room, in their order."""
    kept: list[str] = []
    for line in reversed(list(lines)):
        if (tokens_max := tokens_max - estimate_tokens(line) - 1) < 0:
            break
        kept.append(line)
    return "\n".join(reversed(kept))


def _one_line(text: str) -> str:
    return " ".join(text.split())[:LINE_CHARS_MAX]
