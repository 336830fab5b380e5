"""Who may be told what a source says. Pure.

Staff read what customers read, customers what the public reads; an audience of one's own reads
itself and what is public.
"""

import re

from rag.errors import SourceUnreadable

PUBLIC = "public"
NOBODY = ""  # the audience of a row that its document and it itself do not agree on
_LADDER = (PUBLIC, "customers", "staff")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")


def visible_to(audience: str) -> tuple[str, ...]:
    """The audiences whose texts someone of `audience` may read, the widest first."""
    if audience in _LADDER:
        return _LADDER[: _LADDER.index(audience) + 1]
    return (PUBLIC, audience)


def narrower(document: str, own: str | None) -> str:
    """Who may read a row that names an audience of its own, in a document for `document`."""
    if own is None or own in (document, PUBLIC):
        return document
    if document == PUBLIC:
        return own
    if document in _LADDER and own in _LADDER:
        return max(document, own, key=_LADDER.index)
    return NOBODY


def checked_audience(name: str) -> str:
    """The name, if it is one. Raises SourceUnreadable."""
    if not _NAME.fullmatch(name):
        raise SourceUnreadable(
            f"{name[:40]!r} is no name of an audience: use public, customers, staff, or a short"
            " word of small letters.",
            f"“{name[:40]}”不是有效的受众名称："
            "请使用 public、customers、staff，或由小写字母组成的短词。",
        )
    return name
