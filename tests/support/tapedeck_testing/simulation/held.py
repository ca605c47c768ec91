"""The histories that every run of the tests plays: two thousand of them, in parts that several processes share."""

from typing import Final

from tapedeck_testing.simulation.chance import RATES
from tapedeck_testing.simulation.many import some

HISTORIES: Final = 2_000
PART: Final = 50
"""So few that a part ends well within a test's time on a busy machine."""
HALF: Final = HISTORIES // 2
FIRST_HALF: Final = range(0, HALF, PART)
"""The first seed of each part."""
SECOND_HALF: Final = range(HALF, HISTORIES, PART)


def held(first: int) -> None:
    """Plays one part from its first seed on.

    Raises:
        AssertionError: a history was not correct; the text names each such seed and the command that replays it. Or the part looked at
            too little to prove anything.
    """
    seeds = range(first, first + PART)
    tally = some(seeds)
    failed = [
        f"seed {seed}: {reason}\n  again: PYTHONPATH=tests/support python -m tapedeck_testing.simulation --trace --seed {seed}"
        for seed, reason in tally.failed
    ]
    played = f"of the seeds {seeds.start} to {seeds.stop - 1}"
    assert not failed, "\n".join([f"{len(failed)} {played} failed:", *failed])
    assert tally.looks, f"in none {played} a reader looked"
    missing = sorted(set(RATES) - set(tally.hits))
    assert len(missing) < len(RATES) / 4, f"in none {played} these faults hit: {missing}"
