"""What the sessions of a socket have used, until it is written."""

from audiobus import UsageTotal
from listen.tally import Tally


def opened(used: bytes = b"", used_was: bytes = b"") -> Tally:
    tally = Tally()
    tally.open("a", 1, used, used_was)
    return tally


def test_a_session_without_audio_has_nothing_to_write():
    assert opened().unwritten() == ()


def test_what_is_written_is_not_written_again_until_there_is_more():
    tally = opened()
    tally.appended(b"9:48000")
    totals = tally.unwritten()
    assert totals == (UsageTotal(9, "a/1", 1_000),)
    tally.written(totals)
    assert tally.unwritten() == ()
    tally.appended(b"9:96000")
    assert tally.unwritten() == (UsageTotal(9, "a/1", 2_000),)


def test_after_redis_lost_everything_the_use_is_written_from_the_first_chunk_on():
    tally = opened()
    tally.appended(b"9:4800000")
    tally.written(tally.unwritten())
    tally.reopened(b"")
    assert tally.unwritten() == ()
    tally.appended(b"9:48000")
    assert tally.unwritten() == (UsageTotal(9, "a/1", 1_000),)


def test_a_failed_write_is_made_good_by_the_next():
    tally = opened()
    tally.appended(b"9:48000")
    tally.unwritten()
    tally.appended(b"9:96000")
    assert tally.unwritten() == (UsageTotal(9, "a/1", 2_000),)


def test_over_midnight_both_days_are_written():
    tally = opened()
    tally.appended(b"9:48000")
    tally.written(tally.unwritten())
    tally.appended(b"10:480,9:96000")
    assert tally.unwritten() == (UsageTotal(10, "a/1", 10), UsageTotal(9, "a/1", 2_000))


def test_a_resumed_session_writes_what_its_last_process_may_not_have():
    assert opened(b"9:48000").unwritten() == (UsageTotal(9, "a/1", 1_000),)


def test_the_session_whose_place_was_taken_is_written_too():
    tally = opened(used_was=b"7;9:4800")
    assert tally.has_former
    assert tally.unwritten() == (UsageTotal(9, "a/7", 100),)
    tally.written(tally.unwritten())
    assert not tally.has_former


def test_another_conversation_keeps_what_was_used_before():
    tally = opened()
    tally.appended(b"9:48000")
    tally.open("b", 2, b"", b"")
    tally.appended(b"9:96000")
    assert tally.unwritten() == (UsageTotal(9, "a/1", 1_000), UsageTotal(9, "b/2", 2_000))


def test_a_write_that_was_under_way_when_more_came_leaves_the_rest():
    tally = opened()
    tally.appended(b"9:48000")
    under_way = tally.unwritten()
    tally.appended(b"9:96000")
    tally.open("b", 2, b"", b"")
    tally.written(under_way)
    assert tally.unwritten() == (UsageTotal(9, "a/1", 2_000),)


def test_a_sum_that_somebody_changed_by_hand_ends_nothing():
    tally = opened(b"much", b"more")
    tally.appended(b"?")
    assert tally.unwritten() == ()
