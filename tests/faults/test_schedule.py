import itertools

import pytest

from tapedeck_testing.faults.schedule import KINDS, schedule


@pytest.mark.parametrize("seed", range(20))
def test_it_follows_from_its_seed(seed):
    faults = schedule(seed, 300)
    assert faults == schedule(seed, 300)
    assert faults != schedule(seed + 1, 300)


@pytest.mark.parametrize("seed", range(20))
def test_five_minutes_have_every_kind_and_one_that_outlasts_a_sockets_patience(seed):
    faults = schedule(seed, 300)
    assert {fault.kind for fault in faults} == set(KINDS)
    assert sum(fault.lasts_s > 30 for fault in faults) == 1


def test_one_fault_ends_before_the_next_begins():
    faults = schedule(3, 120)
    for one, two in itertools.pairwise(faults):
        assert one.at_s + one.lasts_s < two.at_s
