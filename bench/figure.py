"""One measured figure, its baseline and its goal.

Owns how rounds become one number: medians, and ratios taken round by round, so that a noisy minute hits both sides.
"""

from dataclasses import dataclass
from statistics import median
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure should reach."""

    of: Literal["value", "ratio", "above"]
    """Ours, ours over the baseline, or ours less the baseline."""
    kind: Literal["at least", "at most"]
    bound: float

    def met(self, value: float, ratio: float, above: float) -> bool:
        """Whether it is reached."""
        measured = {"value": value, "ratio": ratio, "above": above}[self.of]
        return measured >= self.bound if self.kind == "at least" else measured <= self.bound

    def __str__(self) -> str:
        what = {"value": "", "ratio": "ratio ", "above": "above it "}[self.of]
        return f"{what}{'≥' if self.kind == 'at least' else '≤'} {self.bound:g}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `ours` and `baseline` hold one value a round, in the order in which they were measured."""

    part: str
    """The part of the benchmarks that it belongs to: what `--only` takes."""
    what: str
    unit: str
    ours: tuple[float, ...]
    baseline_name: str
    baseline: tuple[float, ...]
    better: Literal["less", "more"]
    goal: Goal | None = None
    notes: tuple[str, ...] = ()
    """How it was measured, where the name does not say it; a sentence each."""

    @property
    def value(self) -> float:
        """Ours, the median."""
        return median(self.ours)

    @property
    def ratios(self) -> tuple[float, ...]:
        """Ours over the baseline, a round each."""
        return tuple(ours / base for ours, base in zip(self.ours, self.baseline, strict=True))

    @property
    def ratio(self) -> float:
        """Ours over the baseline, the median."""
        return median(self.ratios)

    @property
    def above(self) -> float:
        """Ours less the baseline, the median."""
        return median(ours - base for ours, base in zip(self.ours, self.baseline, strict=True))

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        return None if self.goal is None else self.goal.met(self.value, self.ratio, self.above)

    def as_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        return {
            "part": self.part,
            "what": self.what,
            "unit": self.unit,
            "better": self.better,
            "value": self.value,
            "rounds": self.ours,
            "baseline_name": self.baseline_name,
            "baseline": median(self.baseline),
            "baseline_rounds": self.baseline,
            "ratio": self.ratio,
            "ratio_rounds": self.ratios,
            "goal": None if self.goal is None else str(self.goal),
            "met": self.met,
            "notes": self.notes,
        }
