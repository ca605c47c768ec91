"""Cuts that Redis lost, and when their objects came."""

from audiobus.cut import Cut
from tapedeck_testing.simulation.lost_cuts import LostCuts, standing_cut, standing_cuts
from tapedeck_testing.simulation.old_master import OldMaster
from tapedeck_testing.simulation.redis_model import RedisModel

CONV = "td:conv:{u/c}"
NAME = "chunks/u/c/1.000-2.000.batch.bin"
WRITE_DOWN = "redis.call('HSET', KEYS[1], 'cut', ARGV[1])"


def written_down(model):
    raw = Cut(1, "7-30", "7-50", NAME, "standard", "full").encode()
    return model.execute(["EVAL", WRITE_DOWN, 1, CONV, raw])


def test_what_stood_and_is_not_kept_is_lost():
    model = RedisModel(lambda: 1_764_000_000_000)
    kept = model.snapshot()
    assert standing_cuts(model) == set()
    written_down(model)
    assert (standing_cuts(model), standing_cut(model, CONV.encode())) == ({NAME}, NAME)
    before = standing_cuts(model)
    model.restore(kept)
    assert before - standing_cuts(model) == {NAME}


def test_an_object_is_late_from_the_moment_at_which_its_cut_was_lost():
    cuts = LostCuts()
    cuts.fail_over([NAME], [], 5.0)
    cuts.fail_over([NAME], [], 9.0)
    assert [cuts.landed_late(NAME, at) for at in (4.9, 5.0, 7.0)] == [False, True, True]
    assert not cuts.landed_late("chunks/u/c/1.000-3.000.batch.bin", 7.0)
    assert cuts.lost(NAME)
    cuts.stands(NAME)
    assert not cuts.lost(NAME)


def test_a_cut_that_the_new_master_has_too_is_not_lost():
    cuts = LostCuts()
    cuts.fail_over([NAME], [NAME], 5.0)
    cuts.stands_on_old(NAME, 6.0)
    assert not cuts.landed_late(NAME, 7.0)
    cuts.fail_over([], [], 8.0)
    cuts.stands_on_old(NAME, 9.0)
    assert cuts.landed_late(NAME, 9.0)


def test_a_cut_that_the_new_master_writes_down_as_well_is_lost_no_longer():
    cuts = LostCuts()
    cuts.fail_over([NAME], [], 5.0)
    cuts.stands(NAME)
    cuts.stands_on_old(NAME, 6.0)
    assert not cuts.landed_late(NAME, 7.0)


def test_a_cut_on_an_old_master_is_told():
    told = []
    old = OldMaster(RedisModel(lambda: 1_764_000_000_000), [], 9.0, told.append)
    raw = Cut(1, "7-30", "7-50", NAME, "standard", "full").encode()
    old.execute(["EVAL", WRITE_DOWN, 1, CONV, raw])
    old.execute(["GET", "td:epoch"])
    assert told == [NAME]
