"""When what failed is tried again."""

import random

from audiobus import Conversation
from pusher.retries import HURRIED_MS, MOST_MS, MOST_TROUBLES, Retries

A, B = Conversation("u", "a"), Conversation("u", "b")


def test_the_delay_doubles_with_jitter_up_to_five_minutes_without_end():
    retries = Retries(random.Random(1))
    delays = [retries.failed(A, 0) for _ in range(2000)]
    for number, delay in enumerate(delays[:9]):
        assert 500 * 2**number <= delay <= min(300_000, 1000 * 2**number)
    assert all(150_000 <= delay <= 300_000 for delay in delays[9:])
    assert max(delays) - min(delays[9:]) > 100_000


def test_each_conversation_has_a_count_of_its_own():
    retries = Retries(random.Random(1))
    for _ in range(9):
        retries.failed(A, 0)
    assert retries.failed(B, 0) <= 1000
    assert retries.not_before_ms(A, 0) > 100_000
    assert len(retries) == 2
    retries.worked(A)
    retries.worked(A)
    assert retries.not_before_ms(A, 0) == 0
    assert len(retries) == 1
    assert retries.failed(A, 0) <= 1000


def test_what_others_took_care_of_is_forgotten():
    retries = Retries(random.Random(1))
    for number in range(MOST_TROUBLES):
        retries.failed(Conversation("u", f"c{number}"), 0)
    retries.failed(A, 10_000_000)
    assert len(retries) == 1
    assert retries.not_before_ms(A, 10_000_000) > 10_000_000


def test_a_large_table_is_walked_seldom():
    """Three times as many as are kept without a look, all of them fresh."""
    retries, walks = Retries(random.Random(1)), 0
    for number in range(3 * MOST_TROUBLES):
        before = retries._troubles
        retries.failed(Conversation("u", f"c{number}"), 1_000_000)
        walks += retries._troubles is not before
    assert walks == 2
    assert len(retries) == 3 * MOST_TROUBLES
    # Those are forgotten when they are old.
    for number in range(MOST_TROUBLES + 1):
        retries.failed(Conversation("u", f"d{number}"), 10_000_000)
    assert len(retries) <= MOST_TROUBLES + 1


def test_a_clock_that_is_put_back_makes_nobody_wait_longer_than_five_minutes():
    retries, now_ms = Retries(random.Random(1)), 1_700_000_000_000
    for _ in range(12):
        retries.failed(A, now_ms)
    earlier_ms = now_ms - 3_600_000
    not_before_ms = retries.not_before_ms(A, earlier_ms)
    assert not_before_ms == earlier_ms + MOST_MS
    # It goes by as the clock goes on.
    assert retries.not_before_ms(A, earlier_ms + MOST_MS) == not_before_ms


def test_a_wish_shortens_the_pause_and_forgets_no_failure():
    retries = Retries(random.Random(1))
    retries.hurry(A)  # nothing is wrong with it
    for _ in range(12):
        retries.failed(A, 1_000_000)
    assert retries.not_before_ms(A, 1_000_000) > 1_100_000
    for _ in range(2):
        retries.hurry(A)
        assert retries.not_before_ms(A, 1_000_000) == 1_000_000 + HURRIED_MS
    assert retries.failed(A, 1_100_000) > 1_200_000
    retries.worked(A)
    retries.failed(A, 2_000_000)
    before_ms = retries.not_before_ms(A, 2_000_000)
    retries.hurry(A)
    assert retries.not_before_ms(A, 2_000_000) == before_ms
