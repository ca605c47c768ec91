"""`make fuzz`: every target for a bounded time, one after another, and a table of what came of it.

Each runs in a process of its own, which may crash, hang or eat memory: its limits are libFuzzer's and the kernel's. What it
finds lies under `.fuzz/crashes`, made small; what it learned lies under `.fuzz/corpus`, and the next run begins with that.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from tapedeck_fuzz import tally
from tapedeck_fuzz.report import Outcome, as_json, read_log, table
from tapedeck_fuzz.shrink import shrink
from tapedeck_fuzz.target import FOLDER, REGRESSIONS, SEEDS, load_target, target_names

HOME = FOLDER.parents[1] / ".fuzz"
RUNS = HOME / "runs.jsonl"
SECONDS = 20
INPUT_SECONDS = 10
"""Longest that one input may take: thousands of times what any should."""
RSS_MIB = 512
GRACE_S = 120
"""How much longer than it was told a process may run before it is killed: it loads its corpus first."""


def main() -> int:
    """The command. Exit status 1 where something was found, 2 where nothing can run."""
    options = parser().parse_args()
    if options.list:
        print("\n".join(target_names()))
        return 0
    if options.tally:
        print(tally.text(tally.sums(RUNS.read_text().splitlines() if RUNS.exists() else ())))
        return 0
    if sys.version_info >= (3, 14):
        print(
            f"make fuzz: atheris has no build for Python {sys.version_info.major}.{sys.version_info.minor}; use 3.11 to 3.13"
        )
        return 2
    names = options.targets or target_names()
    unknown = sorted(set(names) - set(target_names()))
    if unknown:
        print(f"make fuzz: no target {', '.join(unknown)}; there are: {', '.join(target_names())}")
        return 2
    outcomes = []
    for name in names:
        outcomes.append(run(name, options.seconds, options.runs))
        tally.note(RUNS, outcomes[-1])
        if not options.json:
            print(table(outcomes[-1:]).splitlines()[1], flush=True)
    print(json.dumps(as_json(outcomes), indent=2) if options.json else f"\n{table(outcomes)}")
    return int(any(one.crash for one in outcomes))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(
        prog="python -m tapedeck_fuzz", description="Fuzz the parsers, each for a bounded time."
    )
    made.add_argument("targets", nargs="*", help="which; all where none is named")
    made.add_argument("--seconds", type=int, default=SECONDS, help=f"for each target; {SECONDS} unless told")
    made.add_argument("--runs", type=int, default=-1, help="at most so many inputs a target")
    made.add_argument("--json", action="store_true", help="print JSON instead of a table")
    made.add_argument("--tally", action="store_true", help="print what all runs so far have tried")
    made.add_argument("--list", action="store_true", help="name the targets")
    return made


def run(name: str, seconds: int, runs: int) -> Outcome:
    """One target, to the end of its time, its runs, or its first crash."""
    corpus, crashes = HOME / "corpus" / name, HOME / "crashes" / name
    for folder in (corpus, crashes):
        folder.mkdir(parents=True, exist_ok=True)
    before = set(crashes.iterdir())
    words = HOME / f"{name}.dict"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in load_target(name).words))
    command = [
        sys.executable, "-m", "tapedeck_fuzz.engine", name,
        f"-max_total_time={seconds}", f"-runs={runs}", f"-timeout={INPUT_SECONDS}", f"-rss_limit_mb={RSS_MIB}",
        f"-artifact_prefix={crashes}/", f"-dict={words}", "-print_final_stats=1", "-verbosity=1",
        str(corpus), *(str(folder / name) for folder in (SEEDS, REGRESSIONS) if (folder / name).is_dir()),
    ]  # fmt: skip
    environ = os.environ | {
        "PYTHONPATH": os.pathsep.join((str(FOLDER), os.environ.get("PYTHONPATH", ""))).rstrip(os.pathsep)
    }
    log = HOME / f"{name}.log"
    try:
        with log.open("wb") as out:
            status = subprocess.run(
                command,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=environ,
                check=False,
                timeout=seconds + GRACE_S,
            ).returncode
    except subprocess.TimeoutExpired:
        status = -9
    outcome = read_log(name, log.read_text(errors="replace"), status)
    if outcome.crash is None:
        return outcome
    found = sorted(set(crashes.iterdir()) - before)
    return replace(outcome, crash_file=str(_made_small(name, found[0]))) if found else outcome


def _made_small(name: str, path: Path) -> Path:
    """The same finding in fewer bytes, beside it; the file itself where it does not show here (a hang, memory, native code)."""
    if not path.name.startswith("crash-"):
        return path
    small = path.with_name(f"small-{path.name.removeprefix('crash-')[:12]}")
    small.write_bytes(shrink(load_target(name).examine, path.read_bytes()))
    return small


def _escaped(word: bytes) -> str:
    """As libFuzzer's dictionaries have it."""
    return "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}" for byte in word
    )


if __name__ == "__main__":
    sys.exit(main())
