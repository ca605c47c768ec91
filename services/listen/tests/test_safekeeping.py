import json

import pytest

from audiobus import Appended, Conversation, EntryId, Opened, Standing, decode_chunk
from audiobus.chunk import VERSION, Chunk
from listen.actions import Append, AskToStore, Due, LookStored, Ready, SendText, Watch
from listen.chunker import ReadyChunk
from listen.patience import Patience
from listen.safekeeping import Safekeeping

SECOND = 48_000


@pytest.fixture
def safe(now_ms) -> Safekeeping:
    opened = Opened(7, False, 0, None, None, None)
    return Safekeeping(Conversation("alice", "c"), "me", opened, Patience(), now_ms)


def chunk(end: int) -> ReadyChunk:
    return ReadyChunk(Chunk(VERSION, 5, "opus", 16_000, 1, 1, 0, 0, 0, 0, False, end - 10, ()), end)


def appended(end: int, waiting_s: int = 1, entries: int = 9, settled: int | None = None) -> Appended:
    return Appended(
        EntryId(7, end), None if settled is None else EntryId(7, settled), None, waiting_s * SECOND, entries
    )


def kinds(actions) -> list[type]:
    return [type(action) for action in actions]


def test_an_append_carries_what_the_script_needs(safe, now_ms):
    safe.put([chunk(10)])
    (action,) = safe.advance(now_ms)
    assert isinstance(action, Append)
    request = action.request
    assert (str(request.before), str(request.id), request.owner) == ("7-0", "7-10", "me")
    assert decode_chunk(request.chunk).first_offset == 0
    assert safe.advance(now_ms) == []
    assert not safe.done


def test_the_ack_comes_from_redis_answer(safe, now_ms):
    safe.put([chunk(10)])
    safe.advance(now_ms)
    ack = next(
        action for action in safe.appended(appended(10, settled=4), now_ms) if isinstance(action, SendText)
    )
    assert json.loads(ack.text) == {"type": "ack", "conversation_id": "c", "offset": 10, "stored": 4}
    assert safe.done


def test_never_more_is_told_stored_than_safe(safe, now_ms):
    safe.put([chunk(10)])
    safe.advance(now_ms)
    safe.unavailable("append", now_ms)  # it was appended, and only the answer was lost
    assert safe.looked(Standing(EntryId(7, 10), EntryId(7, 10), None), now_ms) == "on"
    (ack,) = safe.ack()
    assert json.loads(ack.text) == {"type": "ack", "conversation_id": "c", "offset": 0, "stored": 0}


def test_a_hint_is_given_each_time_another_batch_waits(safe, now_ms):
    hints = []
    for index, waiting_s in enumerate([1, 59, 60, 61, 119, 120, 30, 60], start=1):
        safe.put([chunk(10 * index)])
        safe.advance(now_ms)
        hints.append(Ready in kinds(safe.appended(appended(10 * index, waiting_s), now_ms)))
    assert hints == [False, False, True, False, False, True, False, True]


def test_how_much_a_batch_is_decides_when_it_is_due_and_hinted_at(now_ms):
    opened = Opened(7, False, 0, None, None, None)
    safe = Safekeeping(
        Conversation("alice", "c"), "me", opened, Patience(), now_ms, batch_ms=10_000, due_ms=10_000
    )
    assert safe.watch(now_ms) == [Watch("c", now_ms + 10_000)]
    hints = []
    for index, waiting_s in enumerate([1, 9, 10, 19, 20], start=1):
        safe.put([chunk(10 * index)])
        safe.advance(now_ms)
        actions = safe.appended(appended(10 * index, waiting_s, entries=index + 1), now_ms)
        hints.append([action for action in actions if isinstance(action, Due | Ready)])
    ready = Ready("c", "audio")
    assert hints == [[Due("c", now_ms + 10_000)], [], [ready], [], [ready]]


@pytest.mark.parametrize(("entries", "due"), [(1, True), (2, True), (3, False)])
def test_what_was_empty_is_due_again(safe, now_ms, entries, due):
    safe.put([chunk(10)])
    safe.advance(now_ms)
    actions = safe.appended(appended(10, entries=entries), now_ms)
    assert (Due("c", now_ms + 60_000) in actions) is due


def test_finalize_asks_when_all_before_it_is_appended(safe, now_ms):
    safe.put([chunk(10)])
    safe.finalize(10, now_ms)
    assert kinds(safe.advance(now_ms)) == [Append]
    safe.appended(appended(10), now_ms)
    assert safe.advance(now_ms) == [AskToStore("c", "finalize", False, EntryId(7, 10))]
    safe.asked()
    assert kinds(safe.advance(now_ms + 200)) == [LookStored]
    safe.looked(Standing(EntryId(7, 10), EntryId(7, 10), None), now_ms + 210)
    (answer,) = safe.advance(now_ms + 210)
    assert json.loads(answer.text) == {"type": "finalized", "offset": 10, "stored": True}


def test_nothing_is_tried_during_a_pause(safe, now_ms):
    safe.put([chunk(10)])
    safe.advance(now_ms)
    safe.unavailable("append", now_ms)
    assert safe.advance(now_ms + 49) == []
    assert kinds(safe.advance(now_ms + 50)) == [Append]


def test_what_a_resumed_session_has_stored_is_read_at_once(now_ms):
    opened = Opened(7, True, 320, None, None, None)
    safe = Safekeeping(Conversation("alice", "c"), "me", opened, Patience(), now_ms)
    assert safe.advance(now_ms) == [LookStored("c", 7)]


def refreshes(safe, now_ms, *, settled=None, dead=None, seconds=60) -> list[tuple[int, dict]]:
    """What is told on a line that has fallen silent, as time passes: after how many ms, and what."""
    told = []
    for ms in range(0, 1_000 * seconds, 100):
        for action in safe.advance(now_ms + ms):
            assert isinstance(action, LookStored)
            assert safe.looked(Standing(EntryId(7, 10), settled, dead), now_ms + ms) == "on"
            (ack,) = safe.ack()
            told.append((ms, json.loads(ack.text)))
    return told


def test_on_a_silent_line_stored_is_told_each_15_s_until_all_is(safe, now_ms):
    safe.put([chunk(10)])
    safe.advance(now_ms)
    safe.appended(appended(10), now_ms)
    told = refreshes(safe, now_ms)
    assert [ms for ms, _ in told] == [14_000, 28_000, 42_000, 56_000]
    assert {(ack["offset"], ack["stored"]) for _, ack in told} == {(10, 0)}
    assert refreshes(safe, now_ms + 60_000, settled=EntryId(7, 10))[-1][1]["stored"] == 10
    assert refreshes(safe, now_ms + 120_000) == []


def test_stored_stops_at_the_first_dead_byte_and_is_refreshed_on(safe, now_ms):
    safe.put([chunk(10)])
    safe.advance(now_ms)
    safe.appended(appended(10), now_ms)
    told = refreshes(safe, now_ms, settled=EntryId(7, 10), dead=4)
    assert len(told) == 4
    assert all(ack["stored"] == 4 for _, ack in told)


def test_a_look_that_fails_is_made_again_within_a_second(safe, now_ms):
    safe.put([chunk(10)])
    safe.advance(now_ms)
    safe.appended(appended(10), now_ms)
    assert kinds(safe.advance(now_ms + 14_000)) == [LookStored]
    safe.unavailable("look", now_ms + 14_000)
    assert safe.advance(now_ms + 14_100) == []
    assert kinds(safe.advance(now_ms + 15_000)) == [LookStored]
