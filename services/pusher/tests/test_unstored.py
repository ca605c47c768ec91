"""The oldest audio that is not stored."""

from audiobus import Conversation
from pusher.unstored import Unstored

A, B = Conversation("u", "a"), Conversation("u", "b")


def test_it_is_the_one_that_waits_longest():
    unstored = Unstored()
    assert unstored.oldest() is None
    assert unstored.age_seconds(5_000) == 0
    unstored.saw(A, 2_000)
    unstored.saw(B, 1_000)
    assert unstored.oldest() == (B, 1_000)
    assert unstored.age_seconds(5_000) == 4
    unstored.saw(B, None)
    unstored.saw(B, None)
    assert unstored.age_seconds(5_000) == 3
    # A chunk from a clock that runs ahead is not older than nothing.
    assert unstored.age_seconds(1_000) == 0
