"""From evidence to a probability, and from probabilities to two cuts.

Pure. A `Line` is a logistic model over a few features, measured in deviations of what this very
base gives for questions cut from its own passages; a `CalibrationModel` averages the lines that
are known for a language. Today there is one, made without labels (`self_calibrated`); a model
trained elsewhere, or on labels, is one line more.

Label-free means: the positives are pseudo-questions with their passage in the base, the negatives
the same questions as if their document had never been indexed. The weights are held close to a
prior, so that pseudo-questions move them but do not decide alone; a small base moves them less.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rag.evidence import FEATURES, as_row
from rag.types import Action, CalibrationReport, Language

Matrix = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

# What a line reads, how much each weighs before any data, and the mean and spread assumed on a
# base too small to tell: rounded from public question sets of both languages.
USED = (
    "fused_top",
    "fused_margin",
    "coverage_any",
    "window_top",
    "keyword_top",
    "vector_top",
    "grams_top",
    "subject",
)
_PRIOR_WEIGHTS = np.array([0.5, 0.3, 0.5, 0.4, 0.3, 0.3, 0.2, 0.6])
_PRIOR_MEANS: Mapping[bool, Vector] = {  # by whether the vector leg counts
    True: np.array([1.1, 0.18, 0.7, 0.6, 0.35, 0.37, 0.75, 0.1]),
    False: np.array([0.45, 0.12, 0.45, 0.4, 0.22, 0.0, 0.5, 0.1]),
}
_PRIOR_SCALES: Mapping[bool, Vector] = {
    True: np.array([0.35, 0.2, 0.3, 0.35, 0.18, 0.15, 0.22, 0.4]),
    False: np.array([0.2, 0.15, 0.25, 0.25, 0.13, 0.1, 0.22, 0.4]),
}
_PRIOR_T_ANSWER, _PRIOR_T_SUGGEST = 0.8, 0.5
_PRIOR_STRENGTH = 250.0  # of the weights: as many pseudo-questions as it takes to move them much
_PRIOR_COUNT = 30.0  # of means, spreads and cuts, in pseudo-questions
_FALSE_ANSWERS_MAX = 0.1  # of the negatives above the answering cut
_FALSE_SUGGESTIONS_MAX = 0.35
_FOLDS = 5
_STEPS = 300
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """p = 1 / (1 + exp(-(bias + weights · (features - means) / scales))), with its cuts."""

    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float
    t_answer: float
    t_suggest: float
    n: int  # questions it was made from; 0: the prior alone

    def p(self, rows: Matrix) -> Vector:
        """Of each row of USED features the probability that an answer would be right."""
        standard = (rows - np.array(self.means)) / np.array(self.scales)
        return _logistic(np.clip(standard, -6, 6) @ np.array(self.weights) + self.bias)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the calibration in force makes of one question's evidence."""

    action: Action
    p: float
    t_answer: float
    t_suggest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationModel:
    """The lines in force by language, and how far the embedder can be trusted in each."""

    lines: Mapping[Language, Sequence[Line]] = field(default_factory=dict[Language, Sequence[Line]])
    fitness: Mapping[Language, float] = field(default_factory=dict[Language, float])

    def decide(self, evidence: Mapping[str, float], language: Language) -> Verdict:
        """Answer, suggest or decline. A language without a line goes by the prior."""
        row = used(as_row(evidence))
        lines = self.lines.get(language) or (prior_line(vectors=evidence.get("fitness", 0) > 0),)
        p = float(np.mean([line.p(row[None])[0] for line in lines]))
        t_answer = float(np.mean([line.t_answer for line in lines]))
        t_suggest = float(np.mean([line.t_suggest for line in lines]))
        action = "answer" if p >= t_answer else "suggest" if p >= t_suggest else "decline"
        return Verdict(action=action, p=p, t_answer=t_answer, t_suggest=t_suggest)

    def as_json(self) -> dict[str, Any]:
        lines = {name: [asdict(line) for line in some] for name, some in self.lines.items()}
        return {"features": USED, "lines": lines, "fitness": dict(self.fitness)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "CalibrationModel | None":
        """None where it was made for other features than today's: calibrate again."""
        if tuple(data.get("features", ())) != USED:
            return None
        lines = {name: [_line(one) for one in some] for name, some in data["lines"].items()}
        return cls(lines=lines, fitness=data["fitness"])


@dataclass(frozen=True, slots=True, kw_only=True)
class PseudoOutcomes:
    """What the pseudo-questions of one language found: FEATURES by row, in the same order.

    `right[i]`: with its passage in the base, question i found it first.
    """

    present: Matrix
    absent: Matrix
    right: Flags


def prior_line(*, vectors: bool) -> Line:
    """What is assumed of a base that is empty, or too small to ask itself anything."""
    return Line(
        means=tuple(_PRIOR_MEANS[vectors].tolist()),
        scales=tuple(_PRIOR_SCALES[vectors].tolist()),
        weights=tuple(_PRIOR_WEIGHTS.tolist()),
        bias=0.0,
        t_answer=_PRIOR_T_ANSWER,
        t_suggest=_PRIOR_T_SUGGEST,
        n=0,
    )


def used(rows: npt.NDArray[Any]) -> Matrix:
    """The USED columns of FEATURES rows."""
    return rows[..., [FEATURES.index(name) for name in USED]].astype(np.float64)


def self_calibrated(outcomes: PseudoOutcomes, *, vectors: bool) -> tuple[Line, Vector]:
    """A line and its cuts from pseudo-questions; and each one's p by a line that did not see it.

    The second value holds the positives first, then the negatives.
    """
    count = len(outcomes.right)
    rows = used(np.concatenate([outcomes.present, outcomes.absent]))
    labels = np.concatenate([outcomes.right, np.zeros(count, np.bool_)])
    question = np.concatenate([np.arange(count), np.arange(count)])
    unseen = np.zeros(len(rows))
    for fold in range(_FOLDS):
        inside = question % _FOLDS == fold
        if inside.any():
            unseen[inside] = _fit(rows[~inside], labels[~inside], vectors=vectors).p(rows[inside])
    line = _fit(rows, labels, vectors=vectors)
    t_answer = _cut(unseen[count:], 1 - _FALSE_ANSWERS_MAX, _PRIOR_T_ANSWER)
    t_suggest = _cut(unseen[count:], 1 - _FALSE_SUGGESTIONS_MAX, _PRIOR_T_SUGGEST)
    return replace(line, t_answer=t_answer, t_suggest=min(t_suggest, t_answer)), unseen


def report_on(
    outcomes: Mapping[Language, PseudoOutcomes],
    unseen: Mapping[Language, Vector],
    cuts: Mapping[Language, float],
) -> CalibrationReport:
    """What the lines did on pseudo-questions that they had not seen, over all languages."""
    absent = answered = false = wrong = present = right = 0
    coverage: dict[str, float] = {}
    for language, outcome in outcomes.items():
        count = len(outcome.right)
        says = unseen[language] >= cuts[language]
        with_passage, without = says[:count], says[count:]
        absent, present, false = absent + count, present + count, false + int(without.sum())
        answered += int(says.sum())
        wrong += int(without.sum() + (with_passage & ~outcome.right).sum())
        right += int((with_passage & outcome.right).sum())
        coverage[language] = float(with_passage.mean()) if count else 0.0
    return CalibrationReport(
        n=present,
        far=false / max(absent, 1),
        far_upper=upper_bound(false, absent),
        risk_upper=upper_bound(wrong, answered),
        coverage=right / max(present, 1),
        per_language=coverage,
    )


def upper_bound(failures: int, trials: int, confidence: float = _CONFIDENCE) -> float:
    """The exact (Clopper-Pearson) upper bound of a share seen `failures` times in `trials`."""
    if failures >= trials:
        return 1.0
    low, high = failures / trials, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        if _binomial_below(failures, trials, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def _binomial_below(failures: int, trials: int, share: float) -> float:
    """The chance of at most `failures` in `trials` when each fails with that share."""
    if share >= 1.0:
        return 0.0
    ways = [
        math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
        for k in range(failures + 1)
    ]
    logs = [
        way + k * math.log(max(share, 1e-300)) + (trials - k) * math.log1p(-share)
        for k, way in enumerate(ways)
    ]
    return math.fsum(math.exp(one) for one in logs)


def _fit(rows: Matrix, labels: Flags, *, vectors: bool) -> Line:
    """Logistic regression with weights ≥ 0, drawn to the prior, by projected gradient steps."""
    prior = prior_line(vectors=vectors)
    if not len(rows):
        return prior
    share = len(rows) / (len(rows) + 2 * _PRIOR_COUNT)
    means = share * rows.mean(axis=0) + (1 - share) * np.array(prior.means)
    spread = share * rows.std(axis=0) + (1 - share) * np.array(prior.scales)
    scales = np.maximum(spread, np.array(prior.scales) / 2)
    standard = np.clip((rows - means) / scales, -6, 6)
    inputs = np.concatenate([standard, np.ones((len(rows), 1))], axis=1)
    pull = np.append(np.full(len(USED), _PRIOR_STRENGTH), 1.0)
    start = np.append(_PRIOR_WEIGHTS, 0.0)
    least = np.append(np.zeros(len(USED)), -np.inf)
    # The step that cannot overshoot: one over the steepest curvature.
    step = 1.0 / (np.linalg.norm(inputs, 2) ** 2 / 4 + _PRIOR_STRENGTH)
    weights = start.copy()
    for _ in range(_STEPS):
        slope = inputs.T @ (_logistic(inputs @ weights) - labels) + pull * (weights - start)
        weights = np.maximum(weights - step * slope, least)
    return Line(
        means=tuple(means.tolist()),
        scales=tuple(scales.tolist()),
        weights=tuple(weights[:-1].tolist()),
        bias=float(weights[-1]),
        t_answer=prior.t_answer,
        t_suggest=prior.t_suggest,
        n=len(rows) // 2,
    )


def _cut(negatives: Vector, quantile: float, prior: float) -> float:
    """The p that only the allowed share of negatives reaches; few of them leave it at the prior."""
    if not len(negatives):
        return prior
    share = len(negatives) / (len(negatives) + _PRIOR_COUNT)
    return float(share * np.quantile(negatives, quantile) + (1 - share) * prior)


def _logistic(values: npt.NDArray[Any]) -> Vector:
    return 1 / (1 + np.exp(-np.clip(values, -30, 30)))


def _line(data: Mapping[str, Any]) -> Line:
    fields = dict(data)
    for name in ("means", "scales", "weights"):
        fields[name] = tuple(data[name])
    return Line(**fields)
