"""The keyword leg: an inverted index in memory, derived from SQL, and BM25 over it.

The index is a cache like the vectors: `KeywordIndex.update` follows what is live, and a restart
builds it again. What a search reads is an immutable `KeywordState`, so that an update never
disturbs a search that runs beside it. Every score can be asked "as if these rows had never been
indexed" (`without`): calibration stands on that.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rag.language import character_grams, content_terms, fold, tokens
from rag.subject import SubjectIndex, subject_index
from rag.types import ChunkKind, Language

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

# BM25's usual constants; measured flat around these values in both languages.
_SATURATION = 1.2
_LENGTH_WEIGHT = 0.6
_HEADING_TIMES = 2
# As if so many passages without any of the terms stood beside the base: on a base of a few, a term
# found would otherwise weigh nothing against one that is missing.
_UNSEEN_ROWS = 20
# New rows go to a small segment that is built anew each time, until it holds this share.
_RECENT_SHARE_MAX = 0.1
_RECENT_ROWS_MIN = 500
_DEAD_SHARE_MAX = 0.3
_SPACES = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One chunk as the keyword leg keeps it: all but its text."""

    chunk_id: str
    revision_id: str
    source_id: str
    content_hash: str
    language: Language
    audience: str
    kind: ChunkKind
    title: str
    heading_path: tuple[str, ...]
    source_audience: str = "public"
    entry_id: str | None = None  # of the chunk that this one only words differently

    @property
    def answers_as(self) -> str:
        """Equal for an entry and its other wordings: they are one answer."""
        return self.entry_id or self.chunk_id

    @property
    def edition(self) -> tuple[str, str]:
        """Of its source: what is live changes with the revision, and with who may read it."""
        return self.revision_id, self.source_audience


@dataclass(frozen=True, slots=True)
class Row:
    """An entry after indexing: its terms in reading order, as numbers of the vocabulary."""

    entry: Entry
    terms: npt.NDArray[np.uint32]
    heading_terms: int  # how many of them belong to the title and headings
    heading: frozenset[str]  # content terms of the nearest heading
    letters: str  # folded text between spaces: character grams are looked for in it


@dataclass(frozen=True, slots=True)
class _Segment:
    """Postings of some rows, sorted by term and then row."""

    terms: npt.NDArray[np.uint32]
    starts: Integers
    rows: Integers
    counts: Floats

    def postings(self, term: int) -> tuple[Integers, Floats]:
        at = int(np.searchsorted(self.terms, term))
        if at == len(self.terms) or self.terms[at] != term:
            return self.rows[:0], self.counts[:0]
        span = slice(self.starts[at], self.starts[at + 1])
        return self.rows[span], self.counts[span]


@dataclass(frozen=True, slots=True, kw_only=True)
class TermScores:
    """What a question's terms find, over all rows. `found[t, r]`: row r holds term t."""

    terms: tuple[str, ...]
    weights: Floats  # idf per term; a term nobody has weighs most
    frequency: Integers  # in how many live rows each term is
    found: Mask
    bm25: Floats  # over its upper bound for this question: 0..1
    coverage: Floats  # idf-weighted share of the question's terms that the row holds: 0..1


@dataclass(frozen=True, slots=True)
class KeywordState:
    """One unchanging view of the index. Rows are numbered; a dead row stays until compaction."""

    rows: tuple[Row, ...] = ()
    alive: Mask = field(default_factory=lambda: np.zeros(0, np.bool_))
    lengths: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    segments: tuple[_Segment, ...] = ()
    vocabulary: dict[str, int] = field(default_factory=dict[str, int])
    by_hash: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    by_name: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    by_entry: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    subjects: SubjectIndex = field(default_factory=lambda: subject_index({}))
    sources: Integers = field(default_factory=lambda: np.zeros(0, np.int64))  # a number for each
    languages: Mapping[str, Mask] = field(default_factory=dict[str, Mask])
    audiences: Mapping[str, Mask] = field(default_factory=dict[str, Mask])

    def mask(self, test: Callable[[Entry], bool]) -> Mask:
        """Which rows pass `test`. Slow on a large base."""
        return np.fromiter((test(row.entry) for row in self.rows), np.bool_, len(self.rows))

    def visible(self, audiences: Iterable[str]) -> Mask:
        """Which live rows belong to one of `audiences`."""
        seen = np.zeros(len(self.rows), np.bool_)
        for audience in audiences:
            seen |= self.audiences.get(audience, seen)
        return seen & self.alive

    def in_language(self, language: Language) -> Mask:
        return self.languages.get(language, np.zeros(len(self.rows), np.bool_))

    def score(self, terms: Sequence[str], *, without: Mask | None = None) -> TermScores:
        """BM25 and coverage of every row for these terms.

        Rows in `without` count nowhere, not in frequencies nor in the mean length either: as if
        they had never been indexed.
        """
        live = self.alive if without is None else self.alive & ~without
        count = int(live.sum())
        shape = (len(terms), len(self.rows))
        found, saturated = np.zeros(shape, np.bool_), np.zeros(shape, np.float32)
        mean = float(self.lengths[live].mean()) if count else 1.0
        norm = _SATURATION * (1 - _LENGTH_WEIGHT + _LENGTH_WEIGHT * self.lengths / max(mean, 1.0))
        for at, term in enumerate(terms):
            for rows, counts in self._postings(term):
                found[at, rows] = live[rows]
                saturated[at, rows] = counts / (counts + norm[rows])
        frequency = found.sum(axis=1)
        rest = count + _UNSEEN_ROWS - frequency
        weights = np.log1p((rest + 0.5) / (frequency + 0.5)).astype(np.float32)
        total = max(float(weights.sum()), 1e-9)
        return TermScores(
            terms=tuple(terms),
            weights=weights,
            frequency=frequency,
            found=found,
            bm25=weights @ np.where(found, saturated, 0.0) / total,
            coverage=weights @ found.astype(np.float32) / total,
        )

    def grams(self, text: str, rows: Iterable[int]) -> Floats:
        """Share of the text's character grams that each of `rows` holds somewhere, 0..1."""
        wanted = character_grams(text)
        size = max(len(wanted), 1)
        shares = [sum(gram in self.rows[row].letters for gram in wanted) / size for row in rows]
        return np.array(shares, np.float32)

    def heading_match(self, terms: Sequence[str], rows: Iterable[int]) -> Floats:
        """How much each row's nearest heading says what these terms say, 0..1 (Dice)."""
        asked = set(terms)
        headings = [self.rows[row].heading for row in rows]
        matches = [2 * len(one & asked) / max(len(one) + len(asked), 1) for one in headings]
        return np.array(matches, np.float32)

    def window(self, scores: TermScores, row: int, *, size: int) -> float:
        """The best coverage that one stretch of `size` terms of the row reaches, 0..1."""
        present = np.flatnonzero(scores.found[:, row])
        if not len(present):
            return 0.0
        positions = self.rows[row].terms
        numbers = [self.vocabulary[scores.terms[at]] for at in present]
        hits = np.stack([positions == number for number in numbers])
        steps = np.cumsum(hits, axis=1)
        inside = steps.copy()
        inside[:, size:] = steps[:, size:] - steps[:, :-size]
        best = float((scores.weights[present] @ (inside > 0)).max())
        return best / max(float(scores.weights.sum()), 1e-9)

    def _postings(self, term: str) -> Iterable[tuple[Integers, Floats]]:
        number = self.vocabulary.get(term)
        return () if number is None else (part.postings(number) for part in self.segments)


class KeywordIndex:
    """Follows the live chunks. One writer at a time; any number of readers of `state`."""

    def __init__(self) -> None:
        self.state = KeywordState()
        self._merged = 0  # rows in the first, large segment

    def __len__(self) -> int:
        return int(self.state.alive.sum())

    def editions(self) -> set[tuple[str, str]]:
        """The revisions that it holds rows of, each with who may read its source."""
        state = self.state
        pairs = zip(state.rows, state.alive, strict=True)
        return {row.entry.edition for row, alive in pairs if alive}

    def update(
        self, added: Sequence[tuple[Entry, str]], removed: Iterable[tuple[str, str]] = ()
    ) -> None:
        """Take chunks with their texts in, and editions out; the new state appears at once.

        Blocks: run it in a thread.
        """
        old, gone = self.state, set(removed)
        vocabulary = old.vocabulary  # only ever grows: older states still read it rightly
        rows = (*old.rows, *(_row(entry, text, vocabulary) for entry, text in added))
        alive = np.ones(len(rows), np.bool_)
        alive[: len(old.rows)] = old.alive
        if gone:
            alive &= np.array([row.entry.edition not in gone for row in rows], np.bool_)
        if rows and 1 - alive.mean() > _DEAD_SHARE_MAX:
            rows = tuple(row for row, lives in zip(rows, alive, strict=True) if lives)
            alive, self._merged = np.ones(len(rows), np.bool_), 0
        by_hash, by_name, by_entry = _lookups(rows, alive)
        titles = {row.entry.title for row in rows}
        self.state = KeywordState(
            rows=rows,
            alive=alive,
            lengths=np.array([len(row.terms) for row in rows], np.float32),
            segments=self._segments(rows, old),
            vocabulary=vocabulary,
            by_hash=by_hash,
            by_name=by_name,
            by_entry=by_entry,
            subjects=subject_index({name: name in titles for name in by_name}),
            sources=_numbers([row.entry.source_id for row in rows]),
            languages=_masks([row.entry.language for row in rows]),
            audiences=_masks([row.entry.audience for row in rows]),
        )

    def _segments(self, rows: tuple[Row, ...], old: KeywordState) -> tuple[_Segment, ...]:
        recent = len(rows) - self._merged
        if not self._merged or recent > max(_RECENT_ROWS_MIN, _RECENT_SHARE_MAX * self._merged):
            self._merged = len(rows)
            return (_segment(rows, 0),)
        return (old.segments[0], _segment(rows, self._merged)) if recent else old.segments[:1]


def _row(entry: Entry, text: str, vocabulary: dict[str, int]) -> Row:
    heading = " \n".join(dict.fromkeys((entry.title, *entry.heading_path)))
    above = tokens(heading)
    found = above * _HEADING_TIMES + tokens(text)
    numbers = [vocabulary.setdefault(term, len(vocabulary)) for term in found]
    letters = _SPACES.sub(" ", f" {fold(heading)} {fold(text)} ")
    nearest = entry.heading_path[-1] if entry.heading_path else entry.title
    return Row(
        entry=entry,
        terms=np.array(numbers, np.uint32),
        heading_terms=len(above),
        heading=frozenset(content_terms(nearest)),
        letters=letters,
    )


_Lookup = dict[str, list[int]]


def _lookups(rows: Sequence[Row], alive: Mask) -> tuple[_Lookup, _Lookup, _Lookup]:
    """Live rows by content hash, by each title or heading they stand under, and by the entry that
    they answer as."""
    by_hash: defaultdict[str, list[int]] = defaultdict(list)
    by_entry: defaultdict[str, list[int]] = defaultdict(list)
    by_name: defaultdict[str, list[int]] = defaultdict(list)
    for at, row in enumerate(rows):
        if not alive[at]:
            continue
        by_hash[row.entry.content_hash].append(at)
        by_entry[row.entry.answers_as].append(at)
        for name in dict.fromkeys((row.entry.title, *row.entry.heading_path)):
            by_name[name].append(at)
    return by_hash, by_name, by_entry


def _numbers(labels: Sequence[str]) -> Integers:
    """The same number for the same label, from 0 on."""
    numbers: dict[str, int] = {}
    codes = (numbers.setdefault(label, len(numbers)) for label in labels)
    return np.fromiter(codes, np.int64, len(labels))


def _masks(labels: Sequence[str]) -> dict[str, Mask]:
    """For each label which rows bear it."""
    return {
        label: np.fromiter((one == label for one in labels), np.bool_, len(labels))
        for label in sorted(set(labels))
    }


def _segment(rows: Sequence[Row], first: int) -> _Segment:
    """Postings of the rows from `first` on."""
    some = rows[first:]
    lengths = [len(row.terms) for row in some]
    terms = np.concatenate([row.terms for row in some]) if some else np.zeros(0, np.uint32)
    places = np.repeat(np.arange(first, len(rows), dtype=np.uint64), lengths)
    keys, counts = np.unique(terms.astype(np.uint64) << np.uint64(32) | places, return_counts=True)
    of_key = (keys >> np.uint64(32)).astype(np.uint32)
    distinct, starts = np.unique(of_key, return_index=True)
    row_numbers = (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)
    return _Segment(distinct, np.append(starts, len(keys)), row_numbers, counts.astype(np.float32))
