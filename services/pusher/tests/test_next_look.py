"""When a conversation is looked at next."""

import pytest

from audiobus import EntryId
from pusher.next_look import moved, next_look_ms

NOW = 1_700_000_000_000


@pytest.mark.parametrize(
    ("until", "quiet", "ahead"),
    [
        (NOW + 5_000, 0, 5_000),
        (NOW + 500_000, 0, 60_000),
        (NOW - 5, 0, 0),
        (None, 0, 60_000),
        (None, 120_000, 120_000),
        (None, 10**9, 600_000),
        (None, -50_000, 60_000),
    ],
)
def test_sooner_when_there_will_be_more_to_do_seldom_when_nothing_happens(until, quiet, ahead, new_state):
    assert next_look_ms(new_state(last_ms=NOW - quiet), until, NOW) == NOW + ahead


def test_what_came_meanwhile_is_looked_at_at_once_only_if_something_can_be_done(new_state):
    before = new_state(newest=EntryId(1, 5))
    assert not moved(before, before, 60_000)
    assert not moved(before, new_state(newest=EntryId(1, 9)), 60_000)
    assert moved(before, new_state(newest=EntryId(1, 9), received_samples=60 * 48_000), 60_000)
    assert moved(before, new_state(newest=EntryId(1, 5), flush=EntryId(1, 5)), 60_000)
    # Objects that must not stay are looked for; those that were noted before, soon anyway.
    noted = new_state(newest=EntryId(1, 5), gone=True)
    assert moved(before, noted, 60_000)
    assert not moved(noted, noted, 60_000)
    # A request that was there before was seen: no reason to look for ever.
    waiting = new_state(newest=EntryId(1, 5), flush=EntryId(1, 5), received_samples=60 * 48_000)
    assert not moved(waiting, waiting, 60_000)
