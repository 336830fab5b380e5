"""The last look at an answer before it is sent: no value that no cited passage holds.

Pure. Numbers, dates, amounts, addresses of the web and of mail, phone numbers and product codes
are what a customer acts on, so each must stand in a passage that is cited.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence

from rag.numerals import calendar, measured, spelled_out
from rag.types import Citation

_MARK = re.compile(r"\[(\d{1,2})\]")
_ORDINAL = re.compile(r"^\s*\d{1,3}[.)、]\s", re.MULTILINE)
_TAIL = ".,;:!?。，；：！？)）]】>\"'”’"
_URL = re.compile(r"(?:https?://|www\.)[^\s<>\"'，。；！？（）【】、]+", re.IGNORECASE)
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", re.ASCII)
_DOMAIN = re.compile(
    r"\b(?:[a-z0-9-]+\.)+(?:com|org|net|io|dev|cn|eu|uk|de|app|co)\b(?:/[^\s)）]*)?"
)
# A run with a digit: 42, 1,000.50, 2026-11-01, +1 555, v2.1, QR-3200X, 3:30.
_CODE = re.compile(r"[a-z0-9]*\d[a-z0-9]*(?:[.,:/\-_][a-z0-9]+)*", re.ASCII)
_JOINT = re.compile(r"[:/\-_]")
_SPACED_PHONE = re.compile(r"\+?\d[\d ()\-]{6,}\d")


def unsupported(
    text: str, citations: Sequence[Citation], passages: Mapping[int, str]
) -> tuple[str, ...]:
    """What in `text` no cited passage holds; empty means the answer may be sent.

    `passages` are the live texts behind the citations, by their numbers. A mark that points
    nowhere, a citation without a live passage, and a quote that does not stand there count too.
    """
    known = {citation.n for citation in citations}
    cited = {int(number) for number in _MARK.findall(text)}
    faults = [f"[{number}]" for number in sorted(cited - known)]
    faults += [f"[{one.n}]" for one in citations if one.n not in cited or one.n not in passages]
    faults += [one.quote[:80] for one in citations if one.quote not in passages.get(one.n, "")]
    sources = "\n".join(
        f"{passages.get(one.n, '')}\n{one.url or ''}" for one in citations if one.n in cited
    )
    return (*faults, *unheld(without_marks(text), sources))


def unheld(text: str, sources: str) -> tuple[str, ...]:
    """The values of `text` that `sources` do not hold, and numbers that changed their unit."""
    allowed = values(sources)
    # "14-day" supports "14", and a date its year; the other way round nothing is supported.
    parts = {part for value in allowed for part in _JOINT.split(value)}
    allowed |= parts | {part.lstrip("0") for part in parts if part.isdigit()}
    return (*sorted(values(text) - allowed), *_other_units(_folded(text), _folded(sources)))


def without_marks(text: str) -> str:
    """`text` without its [n] and without the numbers of its lists, which are no values."""
    return _ORDINAL.sub(" ", _MARK.sub(" ", text))


def _other_units(text: str, sources: str) -> list[str]:
    """Numbers that stand beside another unit than everywhere in the sources: 14 weeks for 14
    days."""
    held: dict[str, set[tuple[str, str]]] = {}
    for number, unit, family in measured(sources):
        held.setdefault(number, set()).add((unit, family))
    return sorted(
        f"{number} {unit}"
        for number, unit, family in measured(text)
        if family and number in held and (unit, family) not in held[number]
        and any(other == family for _, other in held[number])
        and ("", "") not in held[number]
    )  # fmt: skip


def values(text: str) -> set[str]:
    """Every value in a text, in one spelling: "1,000" and "1000" are one."""
    text = _folded(text)
    found = {*spelled_out(text), *calendar(text)}
    for pattern in (_URL, _MAIL, _DOMAIN):
        found.update(one.rstrip(_TAIL) for one in pattern.findall(text))
    for phone in _SPACED_PHONE.findall(text):
        found.add(re.sub(r"\D", "", phone))
    for code in _CODE.findall(text):
        found.update(_spellings(code))
    return found


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).lower()


def _spellings(code: str) -> set[str]:
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", code):
        return {code.replace(",", "")}
    return {code}
