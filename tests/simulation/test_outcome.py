"""One history: what it is without faults, and what follows from its seed."""

from tapedeck_testing.simulation.chance import RATES, Chance, Fixed
from tapedeck_testing.simulation.garbling import GARBLED
from tapedeck_testing.simulation.outcome import run


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


def test_what_is_fixed_leaves_the_rest_of_the_dice_as_they_are():
    free, fixed = Chance(11), Chance(11, fixed=Fixed(faults=("bucket: full", GARBLED)))
    assert {kind for kind in RATES if fixed.has(kind)} == {
        *(kind for kind in RATES if free.has(kind)),
        "bucket: full",
        GARBLED,
    }
