"""What all runs have tried so far: a line of JSON a run in `.fuzz/runs.jsonl`, and their sums by target.

A run that ended in a crash counts for nothing but the crash: how far it got says little.
"""

import json
import subprocess
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from tapedeck_fuzz.report import Outcome


def note(path: Path, outcome: Outcome) -> None:
    """Adds a run, with when it ended and the commit that it ran on."""
    line = {
        "ended": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": _commit(path.parent),
        **asdict(outcome),
    }
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")


def sums(lines: Iterable[str]) -> dict[str, tuple[int, int, int]]:
    """By target: inputs of runs without a crash, how many such runs, and how many crashed."""
    found: dict[str, tuple[int, int, int]] = {}
    for line in lines:
        run = json.loads(line)
        inputs, good, crashed = found.get(run["target"], (0, 0, 0))
        bad = bool(run["crash"])
        found[run["target"]] = (inputs + (0 if bad else run["inputs"]), good + (not bad), crashed + bad)
    return dict(sorted(found.items()))


def text(found: dict[str, tuple[int, int, int]]) -> str:
    """A line a target, and the sum."""
    width = max(map(len, found), default=0)
    lines = [
        f"{name:<{width}}  {inputs:>13,} inputs in {good} runs, {crashed} crashed"
        for name, (inputs, good, crashed) in found.items()
    ]
    return "\n".join(
        [*lines, f"{'all':<{width}}  {sum(inputs for inputs, _, _ in found.values()):>13,} inputs"]
    )


def _commit(folder: Path) -> str:
    """The commit that the working copy stands on, with a `+` where something differs from it; empty where there is no git."""
    try:
        done = subprocess.run(
            ["git", "-C", folder, "describe", "--always", "--dirty=+", "--exclude=*"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        return ""
    return done.stdout.strip()
