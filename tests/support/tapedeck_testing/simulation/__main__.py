"""Runs histories: `python -m tapedeck_testing.simulation --seeds 100000 --jobs 2`, or one of them again: `--seed N --trace`.

With `--second` and `--fault` all of them have what only some have otherwise; a seed's history is another one with other options of these.
Prints every failing seed with its reason, and how often each fault hit; exits with 1 if one failed, or if a kind of fault never hit.
"""

import argparse
import shlex
import sys
from contextlib import suppress

from tapedeck_testing.simulation.chance import RATES, Fixed
from tapedeck_testing.simulation.many import Tally, clock, many
from tapedeck_testing.simulation.outcome import run

SHOWN = 20
"""Failing seeds whose reasons are printed."""
PROGRESS = 1_000
"""After so many it says how far it is."""
ENOUGH = 2_000
"""From so many seeds on each kind of fault must have hit."""


def report(tally: Tally, took_s: float) -> None:
    """The tables."""
    print(f"{'fault':<36} {'hits':>9} {'histories':>10}")
    for kind in RATES:
        print(f"{kind:<36} {tally.hits[kind]:>9} {tally.struck[kind]:>10}")
    print(
        f"{tally.seeds} histories in {took_s:.0f} s ({tally.seeds / max(took_s, 1e-9):.1f} a second): "
        f"{sum(tally.hits.values())} faults, {tally.commands} commands to Redis, {tally.puts} objects put, "
        f"{tally.looks} looks of a reader, {tally.virtual_s / 3600:.1f} hours of their own time; {len(tally.failed)} failed"
    )


def main(arguments: list[str]) -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tapedeck_testing.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2_000, help="how many histories")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first seed")
    parser.add_argument("--seed", type=int, help="this one alone")
    parser.add_argument("--trace", action="store_true", help="with --seed: everything that happened")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--seconds", type=float, help="stop after so long")
    parser.add_argument("--second", action="store_true", help="a second bucket in every world")
    parser.add_argument("--cuts", action="store_true", help="parts are deleted in every world")
    parser.add_argument("--merges", action="store_true", help="conversations are merged in every world")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        choices=RATES,
        metavar="KIND",
        dest="faults",
        help=f"this kind of faults in every history, beside those of its seed; as often as wanted: {', '.join(RATES)}",
    )
    chosen = parser.parse_args(arguments)
    fixed = Fixed(chosen.second, tuple(chosen.faults), chosen.cuts, chosen.merges)
    if chosen.seed is not None:
        return replay(chosen.seed, fixed, tracing=chosen.trace)
    seeds = range(chosen.first, chosen.first + chosen.seeds)
    print(
        f"simulated histories {seeds.start} to {seeds.stop - 1} (tests/simulation/README.md says what each is):",
        flush=True,
    )
    began = clock()
    tally = Tally()
    with suppress(KeyboardInterrupt):
        for part in many(seeds, chosen.jobs, chosen.seconds, fixed):
            for seed, reason in part.failed:
                if len(tally.failed) < SHOWN:
                    print(f"seed {seed} FAILED: {reason}", flush=True)
            tally.add(part)
            if tally.seeds % PROGRESS == 0:
                print(f"{tally.seeds} histories, {len(tally.failed)} failed", file=sys.stderr, flush=True)
    report(tally, clock() - began)
    missed = [kind for kind in RATES if not tally.hits[kind]] if tally.seeds >= ENOUGH else []
    if missed:
        print(f"never hit: {', '.join(missed)}")
    if tally.failed:
        print("failed:", *(seed for seed, _ in tally.failed))
        again = ["python", "-m", "tapedeck_testing.simulation", *options(fixed), "--trace", "--seed"]
        print("again:", shlex.join(again), tally.failed[0][0])
    return 1 if tally.failed or missed else 0


def options(fixed: Fixed) -> list[str]:
    """What has to be said for a history with the same fixed."""
    faults = [word for kind in fixed.faults for word in ("--fault", kind)]
    worlds = [f"--{name}" for name in ("second", "cuts", "merges") if getattr(fixed, name)]
    return [*worlds, *faults]


def replay(seed: int, fixed: Fixed, *, tracing: bool) -> int:
    """One history, with all that is wrong with it."""
    outcome = run(seed, fixed=fixed, tracing=tracing)
    for line in outcome.trace:
        print(line)
    print(f"seed {seed}: {dict(outcome.hits)}, digest {outcome.digest:08x}")
    for reason in outcome.wrong:
        print(f"FAILED: {reason}")
    if not outcome.wrong:
        print("held: nothing lost, doubled, misfiled or out of order, and the books close")
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
