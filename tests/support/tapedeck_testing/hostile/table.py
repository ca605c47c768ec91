"""Verdicts as Markdown: one server's in full, or several side by side. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tapedeck_testing.hostile.verdict import Verdict
from tapedeck_testing.hostile.vitals import MIB

HEAD: Final = (
    "| attack | answers | peak MiB | kept MiB | left: descriptors, tasks, sockets | neighbours' acks | verdict |\n"
    "| --- | --- | --- | --- | --- | --- | --- |"
)


def row(verdict: Verdict) -> str:
    """One attack's row."""
    answers = ", ".join(f"{answer} ({times})" for answer, times in sorted(verdict.answers.items()))
    left = f"{verdict.descriptors_left}, {verdict.tasks_left}, {verdict.sockets_left}"
    delay = "–" if verdict.ratio is None else f"{verdict.ratio:.1f} × ({verdict.loud.acks})"
    said = "holds" if verdict.holds else "; ".join(verdict.wrong)
    sizes = f"{verdict.peak_bytes / MIB:.0f} | {verdict.kept_bytes / MIB:.0f}"
    return f"| {verdict.name} | {_cell(answers)} | {sizes} | {left} | {delay} | {_cell(said)} |"


def record(kind: str, verdict: Verdict) -> dict[str, Any]:
    """One attack's verdict, to be written down and compared later."""
    return {
        "kind": kind,
        "attack": verdict.name,
        "holds": verdict.holds,
        "wrong": list(verdict.wrong),
        "answers": dict(verdict.answers),
        "peak_mib": round(verdict.peak_bytes / MIB, 1),
        "kept_mib": round(verdict.kept_bytes / MIB, 1),
        "descriptors_left": verdict.descriptors_left,
        "tasks_left": verdict.tasks_left,
        "sockets_left": verdict.sockets_left,
        "ratio": verdict.ratio,
        "worst_s": verdict.loud.worst_s,
    }


def summary(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """How many attacks of each kind each server stands."""
    kinds = list(dict.fromkeys(one["kind"] for records in runs.values() for one in records))
    lines = [f"| kind | {' | '.join(runs)} |", "| --- |" + " --- |" * len(runs)]
    for kind in kinds:
        cells = []
        for records in runs.values():
            mine = [one for one in records if one["kind"] == kind]
            cells.append(f"{sum(one['holds'] for one in mine)} of {len(mine)}" if mine else "–")
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    return "\n".join(lines)


def differences(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """The attacks that some server does not stand, and what happened."""
    names = list(dict.fromkeys(one["attack"] for records in runs.values() for one in records))
    lines = [f"| attack | {' | '.join(runs)} |", "| --- |" + " --- |" * len(runs)]
    for name in names:
        cells = [_outcome(records, name) for records in runs.values()]
        if any(cell not in {"holds", "–"} for cell in cells):
            lines.append(f"| {_cell(name)} | {' | '.join(_cell(cell) for cell in cells)} |")
    return "\n".join(lines)


def _outcome(records: Sequence[Mapping[str, Any]], name: str) -> str:
    found = next((one for one in records if one["attack"] == name), None)
    if found is None:
        return "–"
    if found["holds"]:
        return "holds"
    return "; ".join(wrong.removeprefix(f"{name}: ")[:160] for wrong in found["wrong"])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
