"""What a talk is about: the titles and headings that its lines name, misspelt or shortened.

"Are the rooms kept clean?" finds nothing by itself; after "a room at the Acorn Guesthouse, please"
it is about the entries titled *Acorn Guest House*. Pure over an immutable index of the names.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rag.language import character_grams, fold
from rag.types import Turn

# A name counts as named when this weighted share of its letters' grams is in the line.
_NAMED_SHARE_MIN = 0.72
# Each turn further back counts for less, so that the subject named last wins.
_FADE = 0.85
_TURNS_MAX = 12
_BRACKETED = re.compile(r"[(（\[【].*?[)）\]】]")
_MARKS = re.compile(r"[《》“”\"'‘’「」]")


@dataclass(frozen=True, slots=True)
class SubjectIndex:
    """Names by their character grams. A name is weighed by how rare its grams are among names."""

    names: tuple[str, ...]
    postings: Mapping[str, npt.NDArray[np.int64]]
    weights: Mapping[str, float]
    totals: npt.NDArray[np.float32]
    is_title: npt.NDArray[np.bool_]

    def named(self, text: str) -> npt.NDArray[np.float32]:
        """For each name the weighted share of it that the text holds, 0 below the least share."""
        shares = np.zeros(len(self.names), np.float32)
        for gram in character_grams(text):
            if gram in self.postings:
                shares[self.postings[gram]] += self.weights[gram]
        shares /= self.totals
        shares[shares < _NAMED_SHARE_MIN] = 0.0
        return shares

    def subjects(
        self, text: str, history: Sequence[Turn]
    ) -> tuple[dict[str, float], dict[str, float]]:
        """Names that the line itself says, and names that the talk is about, by strength 0..1.

        A title in the line ends the carrying over: a new subject was brought up. A heading does
        not: "the rooms" are still those of the house that was talked about.
        """
        own = self.named(text)
        if own[self.is_title].max(initial=0.0) > 0:
            return self._by_name(own), {}
        strength = np.zeros(len(self.names), np.float32)
        fade = 1.0
        for turn in list(reversed(history))[:_TURNS_MAX]:
            strength = np.maximum(strength, self.named(turn.text) * fade)
            fade *= _FADE
        return self._by_name(own), self._by_name(np.where(own > 0, 0.0, strength))

    def _by_name(self, strength: npt.NDArray[np.float32]) -> dict[str, float]:
        return {self.names[at]: float(strength[at]) for at in np.flatnonzero(strength > 0)}


def subject_index(names: Mapping[str, bool]) -> SubjectIndex:
    """An index over titles (True) and headings (False). What stands in brackets is no part of a
    name."""
    is_title = np.array([is_title for name, is_title in names.items() if name], np.bool_)
    known = tuple(name for name in names if name)
    grams = [character_grams(core_name(name)) for name in known]
    places: defaultdict[str, list[int]] = defaultdict(list)
    for at, some in enumerate(grams):
        for gram in some:
            places[gram].append(at)
    size = len(known) + 1
    weights = {gram: float(np.log1p(size / len(found))) for gram, found in places.items()}
    totals = [max(sum(weights[gram] for gram in some), 1e-6) if some else 1e6 for some in grams]
    postings = {gram: np.array(found, np.int64) for gram, found in places.items()}
    return SubjectIndex(known, postings, weights, np.array(totals, np.float32), is_title)


def core_name(title: str) -> str:
    """The part of a title that people say: without brackets and quotation marks."""
    shortened = _BRACKETED.sub(" ", title).strip()
    return _MARKS.sub("", fold(shortened or title))
