"""Planted defects: a simulation that cannot find what is known to be wrong is worth nothing."""

import pytest

from tapedeck_testing.simulation.api_mutants import API_MUTANTS
from tapedeck_testing.simulation.mutants import MUTANTS

SEEDS = 200


@pytest.mark.parametrize("mutant", [*MUTANTS, *API_MUTANTS], ids=lambda mutant: mutant.rule)
def test_a_broken_rule_is_found(mutant):
    found = mutant.hunt(range(SEEDS))
    assert found is not None
    assert mutant.play(found.seed, {}).wrong == [], "the seed fails without the defect too"
