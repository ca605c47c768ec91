"""What a decoder must have heard before a place in the buffer."""

from dataclasses import replace

import pytest

from audiobus.entry_id import EntryId
from pusher.lineage import goes_on, heard


@pytest.fixture
def session(new_session, clock):
    session = new_session()
    session.begin(clock())
    return session


def sent(session, first, last):
    return tuple(packet for _, packet in session.sent[first:last])


def test_packets_over_chunks_and_batches(session):
    entries = list(session.speech(2))
    kept = heard(entries[:1], None, 480_000)
    assert (kept.epoch, kept.next_offset, kept.packets) == (
        session.newest.epoch,
        entries[0].id.offset,
        sent(session, 0, 50),
    )
    assert (kept.run_start_ms, kept.next_sample) == (session.run_start_ms, 48_000 - 312)
    assert heard(entries[1:], kept, 480_000) == heard(entries, None, 480_000)
    assert heard(entries, None, 15_360).packets == sent(session, 84, 100)
    assert heard(entries[1:], None, 480_000).packets == sent(session, 50, 100)


def test_nothing_new_leaves_what_was_kept(session, clock):
    kept = heard(list(session.speech(1)), None, 15_360)
    assert heard([], kept, 480_000) is kept
    assert heard([session.begin(clock() + 1)], kept, 480_000) is kept


def test_empty_chunks_only_move_the_offset(session):
    entries = [*session.speech(1), session.chunk((), size=9), *session.speech(0.1)]
    kept = heard(entries[:2], None, 480_000)
    assert (kept.next_offset, kept.packets) == (5_009, sent(session, 0, 50))
    assert heard(entries, None, 480_000).packets == sent(session, 0, 55)
    assert heard([session.chunk((), size=1)], None, 480_000) is None


def test_a_gap_does_not_end_an_encoder(session, clock):
    first = list(session.speech(1))
    clock.pass_s(9)
    session.begin_run()
    session.starts = False
    kept = heard([*first, *session.speech(1)], None, 480_000)
    assert (kept.run_start_ms, kept.packets) == (session.run_start_ms, sent(session, 0, 100))


def test_a_new_encoder_has_heard_nothing(session, clock):
    first = list(session.speech(1))
    session.begin_run()
    assert heard([*first, *session.speech(0.1)], None, 480_000).packets == sent(session, 50, 55)
    other = session.begin(clock() + 1)
    assert heard([*first, other, *session.speech(0.1)], None, 480_000).packets == sent(session, 55, 60)


def test_nor_what_comes_after_missing_bytes(session):
    first = list(session.speech(1))
    session.newest = EntryId(session.newest.epoch, session.newest.offset + 1)
    assert heard([*first, *session.speech(0.1)], None, 480_000).packets == sent(session, 50, 55)


def test_a_flushed_encoder_ends_it(session):
    first = list(session.speech(1, end=True))
    assert heard(first, None, 480_000) is None
    assert heard([*first, session.chunk((), size=2)], None, 480_000) is None
    assert heard([*first, *session.speech(0.1)], None, 480_000).packets == sent(session, 50, 55)


def test_what_goes_on(session):
    one, other = session.speech(2)
    kept = heard([one], None, 15_360)
    assert goes_on(other.span, kept)
    assert goes_on(other.span, one.span)
    assert not goes_on(other.span, None)
    assert not goes_on(one.span, kept)
    assert not goes_on(replace(other.span, starts=True), kept)
    assert not goes_on(replace(other.span, epoch=1), kept)
    assert not goes_on(other.span, replace(one.span, trim=1))
