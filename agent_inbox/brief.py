"""The brief an agent reads before saying a word: rule-made, pure, and data only.

The words around it belong to the reader's language, so each surface has its own.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice, zip_longest
from typing import Any, Literal

from gateway.handoff import Signal
from gateway.messages import AttachmentKind, Author

WANTS_MAX = 5
TRIED_MAX = 5
RECENT_MAX = 3
MENTIONS_MAX = 20
TEXT_MAX = 300  # characters of a quoted line; the whole is in the transcript
ASKING_REST_MAX = 12  # characters around "a person, please" that still say nothing else

MentionKind = Literal["email", "phone", "amount", "code"]


@dataclass(frozen=True, slots=True)
class Came:
    """A file that came along. `kind` is put into the reader's words by each surface."""

    kind: AttachmentKind
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """A line of the transcript, as far as the brief cares. `sources` are the cited titles."""

    seq: int
    author: Author
    text: str
    action: str | None = None
    reply_kind: str | None = None
    sources: tuple[str, ...] = ()
    files: tuple[Came, ...] = ()


@dataclass(frozen=True, slots=True)
class Quote:
    """What somebody said, what came along, and where it stands."""

    seq: int
    author: Author
    text: str
    files: tuple[Came, ...] = ()


@dataclass(frozen=True, slots=True)
class Try:
    """What the bot did about it: said an answer, offered candidates, declined."""

    seq: int
    kind: str
    text: str
    sources: tuple[str, ...]
    helpful: bool | None  # what the customer pressed under it


@dataclass(frozen=True, slots=True)
class Mention:
    """Something exact that the customer named and should not have to name twice."""

    kind: MentionKind
    text: str
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Who the customer is, as far as it is known."""

    name: str
    language: str
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """Why it is here, what is wanted, what was tried, what is known, what was said last."""

    reasons: tuple[Signal, ...]
    wants: tuple[Quote, ...]
    tried: tuple[Try, ...]
    mentions: tuple[Mention, ...]
    recent: tuple[Quote, ...]
    profile: Profile

    def as_data(self) -> dict[str, Any]:
        """Plain data, as the case keeps it."""
        return asdict(self)


def make_brief(lines: Sequence[Spoken], reasons: Sequence[Signal], profile: Profile) -> Brief:
    """The brief of a conversation, from its newest lines, oldest first."""
    said = [line for line in lines if line.author in ("customer", "bot", "agent")]
    return Brief(
        reasons=tuple(reasons),
        wants=tuple(_quote(line) for line in _wanted(said, reasons)[-WANTS_MAX:]),
        tried=tuple(_tried(said))[-TRIED_MAX:],
        mentions=tuple(islice(_mentions(said), MENTIONS_MAX)),
        recent=tuple(_quote(line) for line in said if line.author == "customer")[-RECENT_MAX:],
        profile=profile,
    )


def _wanted(lines: Sequence[Spoken], reasons: Sequence[Signal]) -> list[Spoken]:
    """The customer's words nobody has settled. A refusal or an offer settles nothing; an answer
    does, unless nothing was asked after it: then it did not help."""
    found: list[Spoken] = []
    asking: list[Spoken] = []
    for line in reversed(lines):
        settled = line.author == "agent" or line.reply_kind == "say"
        if settled and found:
            break
        if _is_words(line):
            (asking if _only_asks(line, reasons) else found).append(line)
    return (found or asking)[::-1]


def _is_words(line: Spoken) -> bool:
    return line.author == "customer" and (line.action or "choose-").startswith("choose-")


def _only_asks(line: Spoken, reasons: Sequence[Signal]) -> bool:
    """Whether a line says no more than "a person, please"."""
    words = [reason.evidence for reason in reasons if reason.name == "asked" and reason.evidence]
    return any(
        word in line.text and len(line.text) - len(word) <= ASKING_REST_MAX for word in words
    )


def _tried(lines: Sequence[Spoken]) -> Iterable[Try]:
    for line, after in zip_longest(lines, lines[1:]):
        if line.author == "bot" and line.reply_kind in ("say", "offer", "decline"):
            pressed = after.action if after is not None else None
            helpful = {"helpful": True, "not_helpful": False}.get(pressed or "")
            yield Try(line.seq, line.reply_kind, _short(line.text), line.sources, helpful)


def _quote(line: Spoken) -> Quote:
    return Quote(line.seq, line.author, _short(line.text), line.files)


def _short(text: str) -> str:
    return text if len(text) <= TEXT_MAX else text[: TEXT_MAX - 1] + "…"


# `\b` sees no border between 号 and A, so the borders are spelled out. Every pattern is linear:
# bounded repeats over disjoint classes.
_PATTERNS: tuple[tuple[MentionKind, re.Pattern[str]], ...] = (
    ("email", re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{2,63}){1,4}")),  # noqa: E501
    ("amount", re.compile(r"(?:[$€£¥￥]|\b(?:USD|EUR|CNY|RMB)) ?\d[\d.,]{0,15}|\d[\d.,]{0,15} ?(?:元|块|美元|欧元|USD|EUR|CNY|RMB|dollars|euros)")),  # noqa: E501
    # Bare digits are an order more often than a phone, except in the form of a Chinese mobile.
    ("phone", re.compile(r"(?<![\dA-Za-z#-])(?:\+\d(?:[ ()-]{0,2}\d){6,14}|1[3-9]\d{9}|\(?\d{2,5}\)?(?: \d{2,5}){2,4})(?![\dA-Za-z-])")),  # noqa: E501
    ("code", re.compile(r"(?<![A-Za-z0-9-])#?(?=[A-Za-z-]{0,12}\d)[A-Za-z0-9]{1,20}(?:-[A-Za-z0-9]{1,20}){0,4}(?![A-Za-z0-9-])")),  # noqa: E501
)  # fmt: skip
CODE_DIGITS_MIN = 4


def _mentions(lines: Sequence[Spoken]) -> Iterable[Mention]:
    seen: set[str] = set()
    for line in lines:
        if line.author != "customer":
            continue
        for mention in mentions_in(line.text, line.seq):
            if mention.text not in seen:
                seen.add(mention.text)
                yield mention


def mentions_in(text: str, seq: int = 0) -> list[Mention]:
    """The e-mail addresses, amounts, phone numbers and order-like codes in `text`, in order."""
    found: list[tuple[int, Mention]] = []
    for kind, pattern in _PATTERNS:
        for match in pattern.finditer(text):
            value = match.group().strip(" .,")
            if kind == "code" and sum(c.isdigit() for c in value) < CODE_DIGITS_MIN:
                continue
            start, end = match.span()
            if any(start < at + len(known.text) and at < end for at, known in found):
                continue
            found.append((start, Mention(kind, value, seq)))
    return [mention for _, mention in sorted(found, key=lambda pair: pair[0])]
