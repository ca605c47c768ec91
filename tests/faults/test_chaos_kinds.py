import itertools
from pathlib import Path

import pytest

from tapedeck_testing.faults.chaos.kinds import KINDS, Lane, applicable, plan
from tapedeck_testing.faults.chaos.on_bucket import HOWS
from tapedeck_testing.faults.chaos.on_redis import REDIS_FAULTS
from tapedeck_testing.faults.chaos.options import ChaosOptions
from tapedeck_testing.faults.report import Options

EVERY_S = (2.0, 4.0)
RUNS = [
    {"topology": topology, "store": store, "fallback": fallback, "lose": lose}
    for topology in ("single", "sentinel", "cluster")
    for store in ("gcs", "file")
    for fallback in (False, True)
    for lose in (False, True)
]


@pytest.mark.parametrize("run", RUNS)
def test_every_run_has_at_least_ten_kinds_and_comes_to_each_before_any_comes_again(run):
    run = dict(run)
    kinds = applicable(run.pop("topology"), run.pop("store"), **run)
    assert len(kinds) >= 10
    blows = plan(5, 300, kinds, EVERY_S)
    rounds = [blows[at : at + len(kinds)] for at in range(0, len(blows), len(kinds))]
    assert all(len({blow.kind for blow in one}) == len(one) for one in rounds)
    assert {blow.kind for blow in rounds[0]} == set(kinds)


@pytest.mark.parametrize("seed", range(10))
def test_it_follows_from_its_seed(seed):
    kinds = applicable("single", "gcs", fallback=False, lose=False)
    blows = plan(seed, 300, kinds, EVERY_S)
    assert blows == plan(seed, 300, kinds, EVERY_S)
    assert blows != plan(seed + 1, 300, kinds, EVERY_S)
    pauses = [two.at_s - one.at_s for one, two in itertools.pairwise(blows)]
    assert all(EVERY_S[0] <= pause <= EVERY_S[1] for pause in pauses)


def test_an_hour_has_a_thousand_faults():
    kinds = applicable("single", "gcs", fallback=True, lose=False)
    assert len(plan(1, 3600, kinds, EVERY_S)) >= 1000


def test_what_loses_confirmed_writes_is_only_done_where_devices_keep_their_copy():
    assert "redis loses the end of its log" in KINDS
    names = {kind.name for kind in applicable("single", "gcs", fallback=True, lose=False)}
    assert "redis loses the end of its log" not in names


def test_who_strikes_redis_and_the_bucket_is_known_for_each_kind():
    assert {kind.name for kind in KINDS.values() if kind.lane is Lane.REDIS} == set(REDIS_FAULTS)
    assert set(HOWS) < {kind.name for kind in KINDS.values() if kind.lane is Lane.BUCKET}


def test_kinds_can_be_chosen_and_what_there_is_not_is_refused():
    options = ChaosOptions(Options(), only=("pusher killed", "bucket 503"))
    assert {kind.name for kind in options.kinds()} == {"pusher killed", "bucket 503"}
    with pytest.raises(ValueError, match="slots moved"):
        ChaosOptions(Options(), only=("slots moved",)).kinds()


def test_the_page_names_every_kind_and_when_it_has_hit():
    page = (Path(__file__).parent / "README.md").read_text()
    for kind in KINDS.values():
        assert f"| {kind.lane.value} | {kind.name} |" in page
        assert kind.hit_when in page
