"""Sockets of one process keep their order, however well it knows the time of Redis."""

import pytest

from audiobus import Conversation
from listen import arrivals
from listen.arrivals import STEP_MS, Arrivals

CALL, OTHER = Conversation("alice", "call"), Conversation("alice", "other")


@pytest.mark.parametrize(("arrived_ms", "told_ms"), [(1_000, 5_000), (1_001, 5_001), (1_050, 5_001)])
def test_a_later_socket_never_seems_the_earlier(arrived_ms, told_ms):
    """Nor one that came with it: that one would not be told that it is replaced."""
    order = Arrivals()
    assert order.in_order(CALL, 1_000, 5_000) == 5_000
    assert order.in_order(CALL, arrived_ms, 4_900) == told_ms
    assert order.in_order(CALL, arrived_ms + 200, 5_100) == 5_100


def test_an_earlier_socket_that_is_late_stays_the_earlier():
    order = Arrivals()
    assert order.in_order(CALL, 1_000, 5_000) == 5_000
    assert order.in_order(CALL, 990, 4_990) == 4_990
    assert order.in_order(CALL, 990, 5_010) == 5_000  # or the clock of this process was set back
    assert order.in_order(CALL, 1_001, 4_995) == 5_001


def test_conversations_have_nothing_to_do_with_each_other():
    order = Arrivals()
    order.in_order(CALL, 1_000, 5_000)
    assert order.in_order(OTHER, 1_001, 4_900) == 4_900


def test_a_clock_that_was_set_back_is_followed():
    order = Arrivals()
    order.in_order(CALL, 1_000, 50_000)
    assert order.in_order(CALL, 1_010, 50_000 - STEP_MS - 1) == 50_000 - STEP_MS - 1


def test_only_the_latest_are_remembered(monkeypatch):
    monkeypatch.setattr(arrivals, "CONVERSATIONS_LIMIT", 2)
    order = Arrivals()
    for number, conversation in enumerate((CALL, OTHER, CALL, Conversation("bob", "call"))):
        order.in_order(conversation, number, number)
    assert len(order) == 2
    assert order.in_order(CALL, 5, 1) == 3
    assert order.in_order(OTHER, 5, 0) == 0
