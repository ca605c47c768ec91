"""Which sessions are looked after when their sockets are gone, when, and what of them counts as lost."""

from itertools import pairwise

import pytest

from audiobus import Conversation, EntryId
from audiobus.losses import Extent
from listen.actions import Left, Lost
from listen.former_sessions import (
    AGAIN_MS,
    COUNTED_MOST,
    FIRST_LOOK_MS,
    GRACE_MS,
    KEPT_MOST,
    KEPT_MS,
    LONGEST_PAUSE_MS,
    FormerSessions,
    Loss,
)

KEY = (Conversation("alice", "a"), 7)


@pytest.fixture
def former(now_ms) -> FormerSessions:
    """One session: 1,000 bytes are acked, 200 of them stored; it appended 500 bytes, half a second of audio."""
    made = FormerSessions()
    made.note("alice", Left("a", 7, 1_000, 200, 500, 24_000), now_ms)
    return made


def test_who_is_stored_is_not_looked_after(now_ms):
    former = FormerSessions()
    former.note("alice", Left("a", 7, 1_000, 1_000, 500, 24_000), now_ms)
    assert not former


def test_who_is_seen_to_be_stored_leaves(former, now_ms):
    assert former.due(now_ms) == []
    assert former.due(now_ms + FIRST_LOOK_MS) == [KEY]
    assert former.looked(KEY, Extent(1_000, EntryId(7, 999)), now_ms) is None
    assert len(former) == 1
    assert former.looked(KEY, Extent(1_000, EntryId(7, 1_000)), now_ms) is None
    assert not former
    assert former.looked(KEY, Extent(0, None), now_ms) is None  # an answer that comes late


def test_looks_become_rarer_until_nobody_looks(former, now_ms):
    looks = []
    at_ms = now_ms
    while former:
        at_ms += 1_000
        for key in former.due(at_ms):
            looks.append(at_ms)
            former.looked(key, Extent(1_000, None), at_ms)
    pauses = [later - earlier for earlier, later in pairwise(looks)]
    assert pauses == sorted(pauses)
    assert max(pauses) == LONGEST_PAUSE_MS
    assert at_ms == now_ms + KEPT_MS


def test_another_redis_is_asked_at_once(former, now_ms):
    former.suspect()
    assert former.due(now_ms) == [KEY]
    former.looked(KEY, None, now_ms)  # its master does not answer
    assert former.due(now_ms) == []
    assert former.due(now_ms + AGAIN_MS) == [KEY]


def test_what_is_missing_and_stays_so_is_lost(former, now_ms):
    assert former.looked(KEY, Extent(600, None), now_ms) is None
    former.suspect()  # another Redis again: its time has begun already
    assert former.due(now_ms + GRACE_MS - 1) == []
    later_ms = now_ms + GRACE_MS
    assert former.due(later_ms) == [KEY]
    lost = Loss(KEY, 600, 1_000, 48.0, now_ms)
    assert former.looked(KEY, Extent(600, None), later_ms) == lost
    assert former.due(later_ms) == []
    assert former.looked(KEY, Extent(600, None), later_ms + AGAIN_MS) == lost  # nobody could count it
    former.counted(lost)
    assert not former


def test_what_is_in_the_bucket_is_not_lost(former, now_ms):
    former.looked(KEY, Extent(0, None), now_ms)
    lost = former.looked(KEY, Extent(0, None), now_ms + GRACE_MS)
    assert (lost.since, lost.upto) == (200, 1_000)


def test_a_client_that_sends_it_again_is_waited_for(former, now_ms):
    former.looked(KEY, Extent(600, None), now_ms)
    assert former.looked(KEY, Extent(800, None), now_ms + GRACE_MS) is None
    assert former.looked(KEY, Extent(1_200, None), now_ms + 2 * GRACE_MS) is None
    former.suspect()
    assert former.looked(KEY, Extent(900, None), now_ms + 3 * GRACE_MS) is None  # it is missing anew
    assert former.looked(KEY, Extent(900, None), now_ms + 4 * GRACE_MS).since == 900


def test_a_socket_that_comes_after_a_loss_and_brings_less_changes_nothing(former, now_ms):
    former.looked(KEY, Extent(600, None), now_ms)
    former.note("alice", Left("a", 7, 900, 900, 300, 24_000), now_ms + 1)
    former.looked(KEY, Extent(900, None), now_ms + 1)
    assert former.looked(KEY, Extent(900, None), now_ms + 1 + GRACE_MS).upto == 1_000


def test_of_one_session_the_last_socket_knows_most(former, now_ms):
    former.looked(KEY, Extent(600, None), now_ms)
    former.note("alice", Left("a", 7, 1_500, 200, 400, 24_000), now_ms + 1)
    former.counted(Loss(KEY, 600, 1_000))  # of the one before
    assert len(former) == 1
    former.note("alice", Left("a", 7, 1_600, 1_600, 100, 24_000), now_ms + 2)
    assert not former


def test_only_so_many_are_kept(now_ms):
    former = FormerSessions()
    for epoch in range(KEPT_MOST + 3):
        former.note("alice", Left("a", epoch, 1_000, 0, 500, 24_000), now_ms)
    assert len(former) == KEPT_MOST
    former.suspect()
    assert former.due(now_ms)[0][1] == 3


def test_a_clock_that_is_set_back_leaves_nobody_out(former, now_ms):
    assert former.due(now_ms - 10 * LONGEST_PAUSE_MS) == [KEY]


def test_what_open_sockets_counted_is_named_once(now_ms):
    former = FormerSessions()
    for _ in range(COUNTED_MOST + 1):
        former.note("alice", Lost("a", 7, 100, 200), now_ms)
    assert len(former) == COUNTED_MOST
    untold = former.untold()
    assert untold[0] == Loss(KEY, 100, 200)
    assert not former
    former.again(untold[0])
    assert former.untold() == untold[:1]
    former.again(Loss(KEY, 1, 2, left_ms=now_ms))  # of a socket that is gone: it is found again
    assert not former
