"""The oldest audio that is not stored."""

import math

from audiobus import Conversation
from pusher.unstored import Unstored

A, B = Conversation("u", "a"), Conversation("u", "b")


def test_it_is_the_one_that_waits_longest():
    unstored = Unstored()
    assert unstored.oldest() is None
    assert unstored.age_seconds(5_000) == 0
    assert unstored.saw(A, 2_000, 5_000) == 2_000
    assert unstored.saw(B, 1_000, 5_000) == 1_000
    assert unstored.oldest() == (B, 1_000)
    assert unstored.age_seconds(5_000) == 4
    assert unstored.saw(B, None, 5_000) is None
    unstored.saw(B, None, 5_000)
    assert unstored.age_seconds(5_000) == 3
    # A clock that was put back.
    assert unstored.age_seconds(1_000) == 0


def test_what_says_that_it_was_made_later_than_now_waits_since_it_was_seen_first():
    unstored = Unstored()
    assert unstored.saw(A, 90_000, 5_000) == 5_000
    assert unstored.saw(A, 90_000, 25_000) == 5_000
    assert unstored.age_seconds(65_000) == 60
    # Also when that time has come.
    assert unstored.saw(A, 90_000, 95_000) == 5_000
    # It was stored, and the next one says so too.
    assert unstored.saw(A, 190_000, 100_000) == 100_000
    assert unstored.age_seconds(101_000) == 1


def test_what_nobody_can_tell_is_no_number():
    unstored = Unstored(known=False)
    assert math.isnan(unstored.age_seconds(5_000))
    unstored.saw(A, 2_000, 5_000)
    assert unstored.age_seconds(5_000) == 3
    unstored.speaks = False
    assert math.isnan(unstored.age_seconds(5_000))
