"""What a measurement becomes: product beside floor, their ratio, and whether it may be judged."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

STEADY_MAX = 0.25  # by how much the floor may differ from itself

Verdict = Literal["aim", "passed", "stop", "unsteady"]


@dataclass(frozen=True, slots=True)
class Spread:
    """The smallest, the middle and the largest of some figures."""

    min: float
    median: float
    max: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> "Spread":
        return cls(min(figures), statistics.median(figures), max(figures))

    def __str__(self) -> str:
        return " / ".join(f"{one:.4g}" for one in (self.min, self.median, self.max))


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One row of the report. Product and floor took turns: round by round they make a ratio.

    `again` is the floor once more at the end. `aim` and `stop` are ratios; a measure is good when
    it is `more` than its aim, or less.
    """

    row: str
    unit: str
    product: tuple[float, ...]
    floor: tuple[float, ...]
    again: float
    aim: float
    stop: float
    more: bool

    @property
    def ratio(self) -> Spread:
        return Spread.of([a / b for a, b in zip(self.product, self.floor, strict=True)])

    @property
    def is_steady(self) -> bool:
        """Whether the floor at the end is still the floor of before. If not, the machine had
        something else to do, and no ratio means anything."""
        return abs(self.again / statistics.median(self.floor) - 1) <= STEADY_MAX

    @property
    def verdict(self) -> Verdict:
        if not self.is_steady:
            return "unsteady"
        if self._reaches(self.aim):
            return "aim"
        return "passed" if self._reaches(self.stop) else "stop"

    def _reaches(self, bound: float) -> bool:
        ratio = self.ratio.median
        return ratio >= bound if self.more else ratio <= bound

    def as_data(self) -> dict[str, object]:
        ratio = self.ratio
        return {
            "row": self.row, "unit": self.unit, "product": self.product, "floor": self.floor,
            "floor_again": self.again, "aim": self.aim, "stop": self.stop,
            "ratio": {"min": ratio.min, "median": ratio.median, "max": ratio.max},
            "steady": self.is_steady, "verdict": self.verdict,
        }  # fmt: skip


def report(measures: Sequence[Measure]) -> str:
    """A table for people: a line for each measure."""
    head = ("row", "unit", "product min/median/max", "floor min/median/max", "again", "ratio", "")
    lines = [head] + [
        (
            one.row, one.unit, str(Spread.of(one.product)), str(Spread.of(one.floor)),
            f"{one.again:.4g}", str(one.ratio), _judgement(one),
        )
        for one in measures
    ]  # fmt: skip
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _judgement(measure: Measure) -> str:
    sign = "≥" if measure.more else "≤"
    return f"{measure.verdict} (aim {sign} {measure.aim:g}, stop {measure.stop:g})"
