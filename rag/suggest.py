"""Questions that the base can answer, for when it is not sure which one was meant.

Pure. Each is worded so that pressing it asks it: a heading that is a question as it stands, any
other heading as a request to be told about it.
"""

import re
from collections.abc import Sequence

from rag.language import detect, fold, overlap
from rag.types import Candidate, Language

_SUGGESTIONS_MAX = 3
_CHARS_MAX = 90
_SCORE_SHARE_MIN = 0.45  # of the best candidate's score: what is far behind was not meant
_SAME_MIN = 0.85  # overlap from which two wordings are one suggestion
_QUESTION = re.compile(r"[?？]\s*$")
_NUMBERING = re.compile(r"^\s*(?:\d+(?:\.\d+)*[.)、]?|[一二三四五六七八九十]+、)\s+")
_MARKS = re.compile(r"[*_`#]+|\{#[\w-]+\}")


def suggestions(
    question: str, candidates: Sequence[Candidate], language: Language
) -> tuple[str, ...]:
    """At most 3, best first, none of them the question itself. Those in the customer's language
    go first; where there are none, those of the other language are offered."""
    if not candidates:
        return ()
    least = _SCORE_SHARE_MIN * candidates[0].score
    near = [one for one in candidates if one.score >= least]
    own = [one for one in near if one.language == language] or near
    texts = [wording(candidate) for candidate in own]
    # A real question first: to be told about a whole page is the second choice.
    texts.sort(key=lambda text: not _QUESTION.search(text))
    chosen: list[str] = []
    for text in texts:
        is_new = text and all(overlap(text, other) < _SAME_MIN for other in (question, *chosen))
        if is_new and len(chosen) < _SUGGESTIONS_MAX:
            chosen.append(text)
    return tuple(chosen)


def wording(candidate: Candidate) -> str:
    """The question that this passage answers, as a customer would press it; "" if it has none."""
    heading = candidate.heading_path[-1] if candidate.heading_path else candidate.title
    heading = " ".join(_NUMBERING.sub("", _MARKS.sub("", heading)).split())
    if not heading or len(heading) > _CHARS_MAX:
        return ""
    if _QUESTION.search(heading):
        return heading
    if detect(heading) == "zh" or (candidate.language == "zh" and not fold(heading).isascii()):
        return f"请介绍一下“{heading}”"
    return f"请介绍一下“{heading}”" if candidate.language == "zh" else f"Tell me about “{heading}”"
