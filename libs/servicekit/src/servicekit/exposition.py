"""Several processes' metrics as one page: what the admin address of a component with worker processes shows.

Pure: Prometheus' text format 0.0.4 in and out, as `metrics.Metrics.render` writes it (no timestamps). Must not fetch.
"""

import math
from collections.abc import Sequence
from typing import Final

LARGEST: Final = (
    "_info",
    "_age_seconds",
    "_lag_seconds",
    "_lag",
    "_start_time_seconds",
    "_clock_seconds",
    "_max_fds",
    "_ratio",
    "_circuit",
)
"""How families end that say how bad or how much something is, or in which state, not how much there is of it: the sum over processes would mean nothing."""


def merge(pages: Sequence[str]) -> str:
    """One page from several: counters, histograms and most gauges are summed by name and labels.

    Of families whose names end as in `LARGEST` the largest value is taken, which passes NaN over (docs/conservation.md); a sum of which one
    part is NaN is. Families keep the order in which they first appear. ValueError for a line that is no sample.
    """
    heads: dict[str, list[str]] = {}  # family -> its HELP and TYPE lines
    samples: dict[str, dict[str, float]] = {}  # family -> series with labels -> value
    for page in pages:
        family = ""
        for line in page.splitlines():
            if line.startswith("#"):
                family = line.split(" ", 3)[2]
                lines = heads.setdefault(family, [])
                if line not in lines:
                    lines.append(line)
            elif line:
                series, _, text = line.rpartition(" ")
                values = samples.setdefault(family, {})
                value = float(text)
                if series not in values:
                    values[series] = value
                elif family.endswith(LARGEST):
                    values[series] = _largest(values[series], value)
                else:
                    values[series] += value
    lines = []
    for family, head in heads.items():
        lines += head
        lines += [f"{series} {_number(value)}" for series, value in samples.get(family, {}).items()]
    return "\n".join(lines) + "\n" if lines else ""


def _largest(one: float, other: float) -> float:
    """The larger one; NaN only if both are."""
    return other if math.isnan(one) or other > one else one


def _number(value: float) -> str:
    """A value as Prometheus reads it: Go's names for what is not finite."""
    return {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}.get(repr(value), repr(value))
