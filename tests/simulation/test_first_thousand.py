"""Histories of the whole system, each under the faults of its seed: 0 to 999. `make chaos` runs many more of them."""

import pytest

from tapedeck_testing.simulation.held import FIRST_HALF, held


@pytest.mark.parametrize("first", FIRST_HALF)
def test_whatever_breaks_nothing_is_lost_doubled_misplaced_or_left_waiting(first):
    held(first)
