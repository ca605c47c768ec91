"""Planted defects: a simulation that cannot find what is known to be wrong is worth nothing."""

import pytest

from tapedeck_testing.simulation.mutants import MUTANTS
from tapedeck_testing.simulation.outcome import run

SEEDS = 200


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.rule)
def test_a_broken_rule_is_found(mutant):
    found = mutant.hunt(range(SEEDS))
    assert found is not None
    whole = run(found.seed, faults=mutant.faults, walks=mutant.walks)
    assert whole.wrong == [], "the seed fails without the defect too"
