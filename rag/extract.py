"""Answers without a model: the sentences of the best passages that answer, quoted.

Pure. An entry of a question list is given whole; of a longer passage the one to three sentences
in a row that say most of what was asked, with the list or table they lead to. Nothing is
rewritten, so nothing can be made up.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rag.language import content_terms, tokens
from rag.passage import Unit, ends_with_colon, plain, units
from rag.types import Candidate, Citation

_CITATIONS_MAX = 3
_SENTENCES_MAX = 3
_WHOLE_CHARS_MAX = {"en": 420, "zh": 200}  # a passage up to this is given whole
_FAQ_CHARS_MAX = {"en": 1_200, "zh": 600}
_QUOTE_CHARS_MAX = 1_200
_SENTENCE_COST = 0.05  # of coverage, per sentence more: the shorter of two equals wins
# Another passage is added only if it is nearly as good and says what the first did not.
_SECOND_SCORE_MIN = 0.8
_SECOND_NEWS_MIN = 0.2


@dataclass(frozen=True, slots=True)
class Draft:
    """A text with [n] marks, and what they point to. Empty when no passage has a sentence."""

    text: str
    citations: tuple[Citation, ...]


NOTHING = Draft("", ())


@dataclass(frozen=True, slots=True)
class _Span:
    candidate: Candidate
    start: int
    end: int

    @property
    def quote(self) -> str:
        return self.candidate.text[self.start : self.end]


class Extractive:
    """Writes answers by quoting."""

    def write(self, question: str, candidates: Sequence[Candidate]) -> Draft:
        """The answer to `question` from `candidates`, best first."""
        weights = _term_weights(question, candidates)
        spans: list[_Span] = []
        said: set[str] = set()
        for candidate in candidates[: _CITATIONS_MAX + 2]:
            if len(spans) == _CITATIONS_MAX:
                break
            span = _best_span(candidate, weights)
            if span is None or (spans and not _adds(span, spans, said, weights)):
                continue
            spans.append(span)
            said |= _held(span.quote, weights) | _held(_headings(candidate), weights)
        return _draft(spans)


def cite(candidate: Candidate, said: str, number: int) -> Citation:
    """A citation of the words of `candidate` that say most of `said`."""
    span = _best_span(candidate, _term_weights(said, [candidate]))
    return _citation(span or _Span(candidate, 0, len(candidate.text)), number)


def _draft(spans: Sequence[_Span]) -> Draft:
    parts: list[str] = []
    citations: list[Citation] = []
    for span in spans:
        shown = plain(span.quote)
        number = len(citations) + 1
        mark = f"\n[{number}]" if "\n" in shown.strip() else f" [{number}]"
        parts.append(shown + mark)
        citations.append(_citation(span, number))
    return Draft("\n\n".join(parts), tuple(citations))


def _citation(span: _Span, number: int) -> Citation:
    candidate = span.candidate
    heading = candidate.heading_path[-1] if candidate.heading_path else ""
    title = (
        candidate.title if heading in ("", candidate.title) else f"{candidate.title} › {heading}"
    )
    return Citation(
        n=number,
        title=title,
        source=candidate.source,
        url=candidate.url,
        quote=span.quote[:_QUOTE_CHARS_MAX],
    )


def _term_weights(question: str, candidates: Sequence[Candidate]) -> dict[str, float]:
    """A term that few of the candidates hold tells their sentences apart best."""
    texts = [set(tokens(f"{_headings(one)}\n{one.text}")) for one in candidates]
    terms = content_terms(question)
    return {
        term: math.log1p((len(texts) + 1) / (1 + sum(term in text for text in texts)))
        for term in terms
    }


def _headings(candidate: Candidate) -> str:
    return "\n".join(dict.fromkeys((candidate.title, *candidate.heading_path)))


def _held(text: str, weights: dict[str, float]) -> set[str]:
    return set(tokens(text)) & set(weights)


def _share(terms: set[str], weights: dict[str, float]) -> float:
    return sum(weights[term] for term in terms) / max(sum(weights.values()), 1e-9)


def _adds(span: _Span, spans: Sequence[_Span], said: set[str], weights: dict[str, float]) -> bool:
    first = spans[0].candidate
    news = _held(span.quote, weights) - said
    return (
        span.candidate.score >= _SECOND_SCORE_MIN * first.score
        and span.candidate.language == first.language
        and _share(news, weights) >= _SECOND_NEWS_MIN
    )


def _best_span(candidate: Candidate, weights: dict[str, float]) -> _Span | None:
    parts = [one for one in units(candidate.text) if plain(_of(candidate.text, one)).strip()]
    if not parts:
        return None
    whole = _Span(candidate, parts[0].start, parts[-1].end)
    limits = _FAQ_CHARS_MAX if candidate.kind == "faq" else _WHOLE_CHARS_MAX
    if len(whole.quote) <= limits[candidate.language]:
        return whole
    first, last = _best_window(candidate.text, parts, weights)
    first, last = _completed(candidate.text, parts, first, last)
    return _Span(candidate, parts[first].start, parts[last].end)


def _best_window(text: str, parts: Sequence[Unit], weights: dict[str, float]) -> tuple[int, int]:
    """First and last of the units in a row that hold most of the question's terms."""
    held = [_held(text[part.start : part.end], weights) for part in parts]
    best, window = -1.0, (0, min(_SENTENCES_MAX, len(parts)) - 1)
    if not any(held):  # found by its heading or its meaning: begin at the beginning
        return window
    for first in range(len(parts)):
        inside: set[str] = set()
        for last in range(first, min(first + _SENTENCES_MAX, len(parts))):
            inside = inside | held[last]
            value = _share(inside, weights) - _SENTENCE_COST * (last - first)
            if value > best + 1e-9:
                best, window = value, (first, last)
    return window


def _completed(text: str, parts: Sequence[Unit], first: int, last: int) -> tuple[int, int]:
    """A sentence that leads to a list brings the list; a list brings the sentence that leads to
    it. A lone sentence brings the next one, which mostly explains it."""
    if (
        parts[first].kind != "sentence"
        and first > 0
        and ends_with_colon(_of(text, parts[first - 1]))
    ):
        first -= 1
    alone = first == last and parts[last].kind == "sentence"
    follows = last + 1 < len(parts)
    if follows and (
        ends_with_colon(_of(text, parts[last])) or (alone and parts[last + 1].kind == "sentence")
    ):
        last += 1
    if last + 1 < len(parts) and ends_with_colon(_of(text, parts[last])):
        if parts[last + 1].kind != "sentence" or last == first:
            last += 1
        else:
            last -= 1
    return first, max(first, last)


def _of(text: str, unit: Unit) -> str:
    return text[unit.start : unit.end]
