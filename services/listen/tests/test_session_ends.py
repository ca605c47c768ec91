"""How a session ends: another conversation, `close`, a lost line, a shutdown, and whoever takes its place."""

import pytest

from audiobus import EntryId, Opened
from listen.actions import AskToStore, Due, Open, Watch
from listen.phase import Phase

# -- conversation


def test_another_conversation_gets_a_session_of_its_own(desk, second):
    table = desk()
    table.send(second)
    table.say(type="conversation", conversation_id="conv-2")
    assert table.acked == len(second)
    assert table.hints[-2:] == [
        AskToStore("conv-1", "switch", True, EntryId(1_000, len(second))),
        Watch("conv-2", table.now_ms + 60_000),
    ]
    switched = table.opens[-1]
    assert (switched.conversation_id, switched.resume, switched.own) == ("conv-2", None, False)
    # For this conversation the client has arrived now, not when the socket did.
    assert switched.arrived_ms > table.opens[0].arrived_ms
    assert table.texts[-1]["type"] == "ready"
    assert table.texts[-1]["conversation_id"] == "conv-2"
    table.send(second[:1_000])
    table.say(type="close")
    assert len(table.pcm("conv-1")) == len(second)
    assert len(table.pcm("conv-2")) == 1_000
    assert table.of("ack")[-1] == {
        "type": "ack",
        "conversation_id": "conv-2",
        "offset": 1_000,
        "stored": 0,
    }


def test_in_v1_audio_while_it_switches_is_left_out(desk, second):
    table = desk()
    table.send(second)
    table.automatic = False
    table.say(type="conversation", conversation_id="conv-2")
    table.send(second)
    table.automatic = True
    table.do([])
    assert [error["code"] for error in table.of("error")] == ["not_ready"]
    assert [text["type"] for text in table.texts][-1] == "ready"
    table.say(type="close")
    assert table.pcm("conv-2") == b""


def test_in_plain_audio_while_it_switches_belongs_to_the_next(desk):
    table = desk("plain", "pcm8", 8_000)
    table.send(bytes([128]) * 8_000)
    table.automatic = False
    table.say(type="conversation", conversation_id="conv-2")
    table.send(bytes([128]) * 4_000)
    table.automatic = True
    table.do([])
    table.leave()
    assert len(table.pcm("conv-1")) == 16_000
    assert len(table.pcm("conv-2")) == 8_000


@pytest.mark.parametrize("cid", [None, "", "../x", "a" * 129, 7])
def test_a_conversation_without_an_id_is_an_error_and_the_session_goes_on(desk, second, cid):
    table = desk()
    table.say(type="conversation", conversation_id=cid)
    assert table.of("error")[0]["code"] == "bad_parameter"
    table.send(second)
    assert table.acked > 0


# -- the end


def test_close_makes_everything_safe_sends_the_last_ack_and_closes(desk, second):
    table = desk()
    table.send(second + b"x")
    table.say(type="close")
    assert table.hints[-1] == AskToStore("conv-1", "end", True, table.newest)
    assert table.texts[-1] == {
        "type": "ack",
        "conversation_id": "conv-1",
        "offset": len(second) + 1,
        "stored": 0,
    }
    assert table.codes == [1000]
    assert len(table.pcm()) == len(second)
    assert table.session.phase is Phase.CLOSED
    table.send(second)
    assert table.codes == [1000]


def test_a_session_without_audio_closes_too(desk):
    table = desk()
    table.say(type="close")
    assert table.texts[-1]["offset"] == 0
    assert table.codes == [1000]


def test_a_socket_that_disappears_is_brought_safe_and_asks_for_nothing(desk, second):
    table = desk()
    table.send(second + b"x")
    hints = list(table.hints)
    table.leave()
    assert table.newest.offset == len(second)
    assert [hint for hint in table.hints if not isinstance(hint, Due)] == hints[:1]
    assert table.codes == [1006]


def test_a_resumed_session_of_pcm_goes_on_to_the_sample(desk, second):
    first = desk()
    first.send(second[:9_001])
    first.leave()
    assert first.newest.offset == 9_000
    again = desk(resume=1_000, opened=Opened(1_000, True, 9_000, first.position(), None, None))
    assert again.texts[0]["resume_offset"] == 9_000
    again.send(second[9_000:])
    again.say(type="close")
    spans = [*first.spans(), *again.spans()]
    assert sum(span.samples for span in spans) == 48_000
    assert spans[-1].end_48k - spans[0].start_48k == 48_000
    assert again.spans()[0].starts
    assert again.spans()[0].lead == 312


def test_a_shutdown_is_announced_and_everything_made_safe(desk, second):
    table = desk()
    table.send(second)
    table.do(table.session.going_away(1_830))
    assert table.texts[-1] == {"type": "going_away", "reconnect_after_ms": 1_830}
    table.send(second)
    table.do(table.session.leave(table.now_ms))
    assert table.acked == 2 * len(second)
    assert table.codes == [1012]
    assert not any(isinstance(hint, AskToStore) for hint in table.hints)


def test_a_token_that_expires_ends_the_socket(desk, second, now_ms):
    table = desk(expires_at_ms=now_ms + 5_000)
    table.send(second)
    table.wait(4_900)
    assert table.codes == []
    table.wait(200)
    assert table.of("error")[0]["code"] == "token_expired"
    assert table.acked == len(second)
    assert table.codes == [4401]


def test_a_newer_session_replaces_this_one(desk):
    table = desk()
    table.automatic = False
    table.replace("somebody")
    assert table.actions.pop() == Open("conv-1", 1_000, True, 0)  # who came later is Redis' to say
    table.automatic = True
    table.do(table.session.stale())
    assert table.texts[-1]["code"] == "replaced"
    assert table.codes == [4409]


def test_who_came_too_late_to_open_comes_again(desk):
    table = desk(automatic=False)
    table.actions.clear()
    table.automatic = True
    table.do(table.session.stale())
    assert table.texts[-1]["code"] == "unavailable"
    assert table.texts[-1]["retry_after_ms"] <= 4_000
    assert table.codes == [1013]


def test_a_newer_socket_of_this_process_waits_until_what_came_here_is_safe(desk, second):
    table = desk("plain", codec="pcm16", rate=16_000)
    table.send(second[:20_000])
    table.do(table.session.superseded(table.now_ms))
    assert table.acked == 20_000
    assert table.codes == [4409]
    assert [text["code"] for text in table.of("error")] == ["replaced"]


def test_a_socket_that_ends_already_is_not_told_of_a_newer_one(closed_desk, second):
    table = closed_desk("plain", codec="pcm16", rate=16_000).start()
    table.send(second[:20_000])
    table.automatic = False
    table.leave()
    table.do(table.session.superseded(table.now_ms))
    table.automatic = True
    table.do([])
    assert table.codes == [1006]
    assert table.of("error") == []


def test_a_deleted_conversation_closes(desk):
    table = desk()
    table.do(table.session.refused("conversation_deleted", 4404, "it is deleted"))
    assert (table.texts[-1]["code"], table.codes) == ("conversation_deleted", [4404])


@pytest.mark.parametrize("dialect", ["v1", "plain"])
def test_the_conversation_that_is_open_and_empty_goes_on(desk, packets, dialect):
    table = desk(dialect, codec="opus")
    (first,) = table.of("ready")
    table.say(type="mark", at_ms=table.now_ms - 60_000)
    for _ in range(3):
        table.say(type="conversation", conversation_id="conv-1")
    assert len(table.opens) == 1
    assert table.of("ready") == [first] * 4
    for packet in packets[:50]:
        table.send(packet)
    # The mark stood in what would have been another session.
    assert table.spans()[0].start_ms > table.now_ms - 10_000
    table.say(type="conversation", conversation_id="conv-1")
    assert len(table.opens) == 2
