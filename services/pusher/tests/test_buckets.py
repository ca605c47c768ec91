"""Which bucket a conversation may use. What comes of it on real buckets is in `test_second_bucket`."""

import pytest

from audiobus.conversation import Conversation
from audiostore import open_store
from pusher.buckets import AWAY_MS, SPREAD_MS, GiveBack
from pusher.circuit import LONGEST_WAIT_MS, OPENS_AFTER

ONE, OTHER = Conversation("u", "one"), Conversation("u", "other")


@pytest.fixture
def buckets(new_buckets):
    return new_buckets(open_store("memory:"), open_store("memory:"))


def fail(bucket, clock):
    for _ in range(OPENS_AFTER):
        bucket.circuit.failed(clock(), clock(), "away", operators=False)


def test_while_all_is_well_the_first_is_used_and_both_are_asked(buckets):
    with buckets.turn(ONE) as turn:
        assert buckets.places(turn) == (buckets.first,)
        assert buckets.to_ask(ONE) == (buckets.second, buckets.first)
    assert buckets.well
    assert buckets.can_go_on_without(buckets.second)
    assert not buckets.can_go_on_without(buckets.first)


def test_a_second_one_that_is_away_is_not_asked(buckets, clock):
    fail(buckets.second, clock)
    with buckets.turn(ONE) as turn:
        assert buckets.places(turn) == (buckets.first,)
        assert buckets.to_ask(ONE) == (buckets.first,)


def test_in_the_first_minute_one_tries_and_the_others_come_again(buckets, clock):
    fail(buckets.first, clock)
    clock.pass_s(2)
    with buckets.turn(ONE) as turn, buckets.turn(OTHER) as other:
        assert buckets.places(turn) == (buckets.first,)
        assert isinstance(other, GiveBack)
        assert clock() < other.until_ms <= clock() + LONGEST_WAIT_MS
    clock.pass_s(50)
    # The second one serves soon: nobody comes much later than that.
    waits = [buckets.give_back(Conversation("u", f"c{number}")).until_ms for number in range(300)]
    assert max(waits) <= clock() + 8_000 + SPREAD_MS


def test_who_failed_last_tries_after_those_who_did_not(buckets, clock):
    fail(buckets.first, clock)
    with buckets.turn(OTHER) as waits:
        assert isinstance(waits, GiveBack)
    clock.pass_s(2)
    with buckets.turn(ONE, failed_last=True) as turn:
        assert isinstance(turn, GiveBack)
    with buckets.turn(OTHER) as turn:
        assert not isinstance(turn, GiveBack)
    clock.pass_s(2)
    # Nobody waits who has not failed: it need not wait for them.
    with buckets.turn(ONE, failed_last=True) as turn:
        assert not isinstance(turn, GiveBack)


def test_after_a_minute_all_go_to_the_second_and_one_tries_the_first(buckets, clock):
    fail(buckets.first, clock)
    clock.pass_s(AWAY_MS / 1000)
    with buckets.turn(ONE) as turn, buckets.turn(OTHER) as other:
        assert buckets.places(turn) == (buckets.first, buckets.second)
        assert buckets.places(other) == (buckets.second,)
        assert buckets.to_ask(OTHER) == (buckets.second,)
        assert buckets.can_go_on_without(buckets.first)
        assert not buckets.can_go_on_without(buckets.second)
        with buckets.to_sweep(ONE) as asked, buckets.to_sweep(OTHER) as others:
            assert asked == (buckets.first, buckets.second)
            assert others == (buckets.second,)
        buckets.listed(OTHER, first=False)
        assert other.unlisted
        assert not turn.unlisted


def test_deletions_try_a_second_one_that_is_away_one_at_a_time(buckets, clock):
    fail(buckets.second, clock)
    clock.pass_s(AWAY_MS / 1000)
    with buckets.turn(ONE), buckets.turn(OTHER):
        with buckets.to_sweep(ONE) as asked, buckets.to_sweep(OTHER) as others:
            assert asked == (buckets.first, buckets.second)
            assert others == (buckets.first,)
        with buckets.to_sweep(OTHER) as others:
            assert others == (buckets.first, buckets.second)
        fail(buckets.second, clock)
        with buckets.to_sweep(OTHER) as others:
            assert buckets.second in others
            fail(buckets.second, clock)
        with buckets.to_sweep(OTHER) as others:
            assert buckets.second not in others


def test_a_circuit_that_opens_under_a_turn_leaves_no_place(buckets, clock):
    with buckets.turn(ONE) as turn:
        fail(buckets.first, clock)
        assert buckets.places(turn) == ()


def test_without_a_second_there_is_one_bucket_for_everything(new_buckets, clock):
    buckets = new_buckets(open_store("memory:"))
    assert buckets.all == (buckets.first,)
    assert buckets.to_ask(ONE) == (buckets.first,)
    fail(buckets.first, clock)
    clock.pass_s(3600)
    assert not buckets.second_serves
    assert not buckets.can_go_on_without(buckets.first)


def test_no_more_are_remembered_than_is_good(buckets, clock, monkeypatch):
    monkeypatch.setattr("pusher.buckets.MOST_WAITING", 3)
    fail(buckets.first, clock)
    for number in range(10):
        buckets.give_back(Conversation("u", f"c{number}"))
    assert len(buckets.take_waiting()) == 3
