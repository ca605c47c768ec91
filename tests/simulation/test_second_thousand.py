"""Histories of the whole system, each under the faults of its seed: 1000 to 1999."""

import pytest

from tapedeck_testing.simulation.held import SECOND_HALF, held


@pytest.mark.parametrize("first", SECOND_HALF)
def test_whatever_breaks_nothing_is_lost_doubled_misplaced_or_left_waiting(first):
    held(first)
