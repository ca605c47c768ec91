"""The watch over what holds at every moment."""

import pytest

from tapedeck_testing.simulation.redis_model import RedisModel
from tapedeck_testing.simulation.watch import Watch

CONV = "td:conv:{u/c}"
SETTLE = "redis.call('HSET', KEYS[1], 'newest', '7-90', 'settled', ARGV[1])"


@pytest.fixture
def model():
    return RedisModel(lambda: 1_764_000_000_000)


@pytest.fixture
def settle(model):
    """Settles up to an id."""

    def run(watch, up_to):
        args = ("EVAL", SETTLE, 1, CONV, up_to)
        model.execute(args)
        watch.look(args)

    return run


def test_what_goes_back_is_found_once_and_told(model, settle):
    told = []
    watch = Watch(model, told.append)
    settle(watch, "7-20")
    settle(watch, "7-50")
    assert watch.problems == []
    settle(watch, "7-20")
    assert watch.problems == told == [f"{CONV}: settled went back from 7-50 to 7-20"]


def test_a_redis_that_lost_its_last_writes_may_go_back(model, settle):
    watch = Watch(model, lambda _text: None)
    settle(watch, "7-50")
    watch.forget()
    settle(watch, "7-20")
    assert watch.problems == []


def test_only_such_a_redis_may_have_settled_what_it_does_not_know(model, settle):
    problems = []
    for lost in (False, True):
        watch = Watch(model, lambda _text: None)
        if lost:
            watch.forget()
        settle(watch, "7-95")
        problems.append(watch.problems)
    assert problems == [[f"{CONV}: settled up to 7-95, and the newest is 7-90"], []]


def test_a_time_limit_on_audio_is_found(model):
    watch = Watch(model, lambda _text: None)
    model.execute(["SET", "td:lease:{u/c}", "me", "PX", 1000])
    watch.once_a_second()
    assert watch.problems == []
    model.execute(["XADD", "td:audio:{u/c}", "7-0", "o", "opus"])
    model.execute(["PEXPIRE", "td:audio:{u/c}", 1000])
    watch.once_a_second()
    watch.once_a_second()
    assert watch.problems == ["td:audio:{u/c} has a time limit"]


def test_books_that_do_not_balance_are_found(model):
    watch = Watch(model, lambda _text: None)
    model.execute(["XADD", "td:audio:{u/c}", "7-90", "c", "chunk", "s", "480"])
    model.execute(["HSET", CONV, "in", "960", "out", "480"])
    watch.once_a_second()
    assert watch.problems == []
    model.execute(["HSET", CONV, "deleted", "480"])
    watch.once_a_second()
    assert len(watch.problems) == 1
    assert "by -480" in watch.problems[0]


def test_it_remembers_what_was_dead_once(model, settle):
    watch = Watch(model, lambda _text: None)
    settle(watch, "7-20")
    assert watch.buried == set()
    model.execute(["HSET", CONV, "dead", "0"])
    settle(watch, "7-20")
    assert watch.buried == {"u/c"}
