"""What libFuzzer says at its end, as numbers, and the table of all targets. Text in, values out."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass

_INITED = re.compile(r"^#\d+\s+INITED cov: (\d+)", re.MULTILINE)
_COVERAGE = re.compile(r"^#\d+\s+\w+\s+cov: (\d+)", re.MULTILINE)
_NUMBER = re.compile(r"^#(\d+)\s", re.MULTILINE)
_UNITS = re.compile(r"^stat::number_of_executed_units:\s*(\d+)", re.MULTILINE)
_PEAK = re.compile(r"^stat::peak_rss_mb:\s*(\d+)", re.MULTILINE)
_PYTHON = re.compile(r"=== Uncaught Python exception: ===\n(.*?)(?:\n\n|\n==|\Z)", re.DOTALL)
_NATIVE = re.compile(r"(?:ERROR|SUMMARY): (?:libFuzzer|\w+Sanitizer): ([^\n]*)")


@dataclass(frozen=True)
class Outcome:
    """One target's run."""

    target: str
    inputs: int
    """Inputs tried, the seeds among them."""
    coverage: int
    """Branches of our packages that were reached, as libFuzzer counts them."""
    new_coverage: int
    """How many of those no seed, and nothing kept from earlier runs, had reached."""
    peak_mib: int
    """Most memory that the process had."""
    crash: str | None
    """What went wrong, in short; None where nothing did."""
    crash_file: str | None = None
    """Where the input lies, as small as it could be made."""


def read_log(target: str, log: str, status: int) -> Outcome:
    """The outcome of a process that ended with `status` and wrote this."""
    inited = _last(_INITED, log)
    coverage = _last(_COVERAGE, log)
    units = _last(_UNITS, log) or _last(_NUMBER, log)
    return Outcome(
        target=target,
        inputs=units,
        coverage=coverage,
        new_coverage=max(0, coverage - inited) if inited else 0,
        peak_mib=_last(_PEAK, log),
        crash=_crash(log, status) if status else None,
    )


def table(outcomes: Sequence[Outcome]) -> str:
    """A line a target, and the sum."""
    rows = [("target", "inputs", "coverage", "new", "peak MiB", "crash")]
    rows += [
        (
            one.target,
            f"{one.inputs:,}",
            f"{one.coverage}",
            f"+{one.new_coverage}",
            f"{one.peak_mib}",
            one.crash or "none",
        )
        for one in outcomes
    ]
    rows.append(
        (
            "all",
            f"{sum(one.inputs for one in outcomes):,}",
            "",
            "",
            "",
            f"{sum(bool(one.crash) for one in outcomes)}",
        )
    )
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        f"{row[0]:<{widths[0]}}  "
        + "  ".join(f"{cell:>{width}}" for cell, width in zip(row[1:5], widths[1:], strict=True))
        + f"  {row[5]}"
        for row in rows
    )


def as_json(outcomes: Sequence[Outcome]) -> list[dict[str, object]]:
    """The same for machines."""
    return [asdict(one) for one in outcomes]


def _last(pattern: re.Pattern[str], log: str) -> int:
    found = pattern.findall(log)
    return int(found[-1]) if found else 0


def _crash(log: str, status: int) -> str:
    if python := _PYTHON.search(log):
        return python[1].strip().splitlines()[0][:200]
    if native := _NATIVE.search(log):
        return native[1][:200]
    last = log.strip().splitlines()[-1:] or ["it said nothing"]
    return f"ended with {status}: {last[0][:160]}"
