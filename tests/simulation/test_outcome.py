"""Histories of the whole system, each under the faults of its seed. `make chaos` runs many more of them."""

import pytest

from tapedeck_testing.simulation.chance import RATES
from tapedeck_testing.simulation.many import some
from tapedeck_testing.simulation.outcome import run

PARTS = 6
SEEDS = 80
"""In each part: so that a part ends well within a test's time on a busy machine."""


def test_without_faults_everything_is_stored_and_nothing_is_tried_twice():
    for seed in range(5):
        outcome = run(seed, faults=[])
        assert outcome.wrong == []
        assert outcome.puts > 0
        assert outcome.hits.total() == 0


def test_the_same_seed_gives_the_same_history():
    first, again = (run(11, tracing=True) for _ in range(2))
    assert first.trace == again.trace
    assert first.digest == again.digest == run(11).digest
    assert first.trace != run(12, tracing=True).trace


@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_breaks_nothing_is_lost_doubled_misplaced_or_left_waiting(part):
    tally = some(range(part * SEEDS, (part + 1) * SEEDS))
    assert tally.failed == []
    assert tally.looks > 0
    assert len(tally.hits) > len(RATES) * 3 // 4
