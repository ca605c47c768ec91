"""`finalize`: flushed, asked for, and answered when the bucket has it, or after its time."""

import pytest

from audiobus import EntryId
from listen.actions import AskToStore


def test_finalize_flushes_and_asks_and_is_answered_when_the_bucket_has_it(desk, second):
    table = desk()
    table.send(second[:7_001])
    table.say(type="finalize")
    assert table.acked == 7_000
    assert AskToStore("conv-1", "finalize", False, EntryId(1_000, 7_000)) in table.hints
    assert table.of("finalized") == []
    table.settled = EntryId(1_000, 7_000)
    table.wait(300)
    assert table.of("finalized") == [{"type": "finalized", "offset": 7_000, "stored": True}]


def test_finalize_is_answered_after_15_s_all_the_same(desk, second):
    table = desk()
    table.send(second)
    table.say(type="finalize")
    table.wait(14_900)
    assert table.of("finalized") == []
    table.wait(200)
    assert table.of("finalized") == [{"type": "finalized", "offset": len(second), "stored": False}]
    assert len([hint for hint in table.hints if isinstance(hint, AskToStore)]) == 1


def test_finalize_is_answered_at_once_where_nothing_waits(desk, second):
    table = desk()
    table.say(type="finalize")
    assert table.of("finalized") == [{"type": "finalized", "offset": 0, "stored": True}]
    table.settled = EntryId(1_000, len(second))
    table.send(second)
    table.wait(2_000)
    table.say(type="finalize")
    assert table.of("finalized")[-1] == {"type": "finalized", "offset": len(second), "stored": True}


def test_audio_goes_on_after_finalize(desk, second):
    table = desk()
    table.send(second)
    table.say(type="finalize")
    table.send(second)
    table.say(type="close")
    assert len(table.pcm()) == 2 * len(second)
    assert [span.lead for span in table.runs()] == [312, 312]


@pytest.mark.parametrize("last", [{"type": "close"}, {"type": "conversation", "conversation_id": "conv-2"}])
def test_the_end_of_a_session_waits_for_its_finalize(desk, second, last):
    table = desk()
    table.send(second)
    table.say(type="finalize")
    table.say(**last)
    assert isinstance(table.hints[-1], AskToStore)
    assert table.hints[-1].ends
    table.wait(1_000)
    assert (table.of("finalized"), table.codes, len(table.opens)) == ([], [], 1)
    table.settled = EntryId(1_000, len(second))
    table.wait(1_500)
    offset = {"offset": len(second)}
    assert table.texts[-3 if last["type"] == "conversation" else -2 :][:2] == [
        {"type": "finalized", **offset, "stored": True},
        {"type": "ack", "conversation_id": "conv-1", **offset, "stored": len(second)},
    ]
    assert (table.codes, len(table.opens)) == (([1000], 1) if last["type"] == "close" else ([], 2))


def test_a_finalize_holds_the_end_up_for_15_s_at_most(desk, second):
    table = desk()
    table.send(second)
    table.say(type="finalize")
    table.wait(5_000)
    table.say(type="close")
    table.wait(9_900)
    assert (table.of("finalized"), table.codes) == ([], [])
    table.wait(200)
    assert [text["type"] for text in table.texts[-2:]] == ["finalized", "ack"]
    assert table.of("finalized") == [{"type": "finalized", "offset": len(second), "stored": False}]
    assert (table.texts[-1]["stored"], table.codes) == (0, [1000])


def test_a_close_after_a_finalize_where_nothing_waits_is_done_at_once(desk):
    table = desk()
    table.say(type="finalize")
    table.say(type="close")
    assert [text["type"] for text in table.texts] == ["ready", "finalized", "ack"]
    assert table.codes == [1000]


def test_what_comes_after_a_finalize_is_safe_before_the_end_but_not_waited_for(desk, second):
    table = desk()
    table.send(second)
    table.say(type="finalize")
    table.send(second)
    table.say(type="close")
    assert table.acked == 2 * len(second)
    table.settled = EntryId(1_000, len(second))
    table.wait(1_500)
    assert table.of("finalized") == [{"type": "finalized", "offset": len(second), "stored": True}]
    assert (table.texts[-1]["offset"], table.texts[-1]["stored"]) == (2 * len(second), len(second))
    assert table.codes == [1000]


@pytest.mark.parametrize("last", [{"type": "close"}, {"type": "conversation", "conversation_id": "conv-2"}])
def test_who_leaves_meanwhile_is_not_waited_for(desk, second, last):
    table = desk()
    table.send(second)
    table.say(type="finalize")
    table.say(**last)
    table.leave()
    assert not any(answer["stored"] for answer in table.of("finalized"))
    assert table.codes == [1000 if last["type"] == "close" else 1006]


@pytest.mark.parametrize(
    ("last", "code"),
    [
        ({"type": "close"}, 1000),
        ({"type": "conversation", "conversation_id": "conv-2"}, 1012),
        ({"type": "keepalive"}, 1012),
    ],
)
def test_a_shutdown_does_not_wait_for_the_bucket(desk, second, last, code):
    table = desk()
    table.send(second)
    table.say(type="finalize")
    table.say(**last)
    table.do(table.session.leave(table.now_ms))
    assert table.of("finalized") == [{"type": "finalized", "offset": len(second), "stored": False}]
    assert table.texts[-1]["offset"] == len(second)
    assert table.codes == [code]


def test_audio_of_a_plain_clients_next_conversation_does_not_wait_for_a_finalize(desk):
    table = desk("plain", "pcm8", 8_000)
    table.send(bytes([128]) * 8_000)
    table.say(type="finalize")
    table.say(type="conversation", conversation_id="conv-2")
    assert len(table.opens) == 1
    table.send(bytes([128]) * 4_000)
    table.wait(100)
    assert table.of("finalized") == [{"type": "finalized", "offset": 8_000, "stored": False}]
    assert len(table.opens) == 2
    table.leave()
    assert len(table.pcm("conv-2")) == 8_000
