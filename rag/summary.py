"""A talk in three lines for whoever takes it over, each held against the lines it names. Pure."""

import re
from collections.abc import Sequence

from rag.gate import told_by
from rag.types import Language, NumberedLine, Point, Summary

POINT_CHARS_MAX = 300

_LINE = re.compile(r"^\W*(WANTS|TRIED|FACTS)\W*?[:：]\s*(.+)$", re.IGNORECASE)
_NUMBERS = re.compile(r"[(（\[]?\s*#\d+(?:[\s,，、]*#\d+)*\s*[)）\]]?")


def read_summary(text: str, lines: Sequence[NumberedLine], language: Language) -> Summary:
    """What of a model's three lines can be believed."""
    points: dict[str, Point] = {}
    for line in text.splitlines():
        found = _LINE.match(line)
        if found and (point := _point(found[2], lines, language)):
            points.setdefault(found[1].lower(), point)
    return Summary(**points)


def _point(said: str, lines: Sequence[NumberedLine], language: Language) -> Point | None:
    seqs = tuple(dict.fromkeys(int(number) for number in re.findall(r"#(\d+)", said)))
    text = " ".join(_NUMBERS.sub(" ", said).split()).rstrip(" .。")
    named = [line.text for line in lines if line.seq in seqs]
    if not seqs or len(named) < len(seqs) or not 1 < len(text) <= POINT_CHARS_MAX:
        return None
    return Point(text, seqs) if told_by(text, "\n".join(named), language) else None
