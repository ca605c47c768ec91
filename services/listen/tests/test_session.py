"""The protocol page, row by row, played through without a socket."""

import json

import pytest

from audiobus import EntryId, Opened
from listen.actions import Append, AskToStore, Close, Due, Encode, LookStored, Open, Ready, Watch
from listen.phase import Phase


def resumed(offset: int, position=None, settled=None) -> Opened:
    return Opened(1_000, True, offset, position, None, settled)


# -- opening


def test_the_first_message_is_ready(desk):
    table = desk()
    assert table.texts[0] == {
        "type": "ready",
        "conversation_id": "conv-1",
        "session": "1000",
        "resume_offset": 0,
        "chunk_ms": 1_000,
        "keepalive_s": 20,
    }
    assert table.hints == [Watch("conv-1", table.now_ms + 60_000)]


def test_a_session_that_cannot_be_resumed_gets_a_fresh_one_and_where_the_old_one_is_safe(desk):
    table = desk(resume=500, opened=Opened(1_000, False, 0, None, 320, None))
    assert table.opens == [Open("conv-1", 500, False, 0)]
    assert table.texts[0]["session"] == "1000"
    assert table.texts[0]["previous_offset"] == 320
    assert [count.label for count in table.counts if count.what == "opened"] == ["superseded"]


def test_in_v1_audio_before_ready_is_left_out(closed_desk, second):
    table = closed_desk(automatic=False).start()
    table.send(second)
    table.send(second)
    table.automatic = True
    table.do([])
    assert [text["type"] for text in table.texts] == ["error", "ready"] or [
        text["type"] for text in table.texts
    ] == ["ready", "error"]
    assert table.of("error")[0]["code"] == "not_ready"
    table.send(second)
    table.say(type="close")
    assert table.acked == len(second)


def test_texts_before_ready_are_not_lost(closed_desk):
    table = closed_desk(automatic=False).start()
    table.say(type="mark", at_ms=table.now_ms - 5_000)
    table.say(type="close")
    table.automatic = True
    table.do([])
    assert table.codes == [1000]
    assert table.texts[0]["type"] == "ready"


def test_a_close_before_ready_is_kept_however_much_was_said_before_it(closed_desk, second):
    table = closed_desk("plain", codec="pcm16", rate=16_000, automatic=False).start()
    table.send(second)
    for _ in range(20):
        table.say(type="finalize")
    table.say(type="close")
    table.send(second)  # after the end: nothing
    table.say(type="mark", at_ms=table.now_ms)
    table.automatic = True
    table.do([])
    table.wait(15_100)  # so long a `finalize` may wait for the bucket
    assert table.codes == [1000]
    assert table.acked == len(second)
    # What was too much is told, not dropped in silence.
    assert [text["code"] for text in table.of("error")] == ["not_ready"] * 4


def test_in_plain_audio_before_ready_is_taken(closed_desk):
    table = closed_desk("plain", "pcm8", 8_000, automatic=False).start()
    table.send(bytes([128]) * 8_000)
    assert not any(isinstance(action, Append) for action in table.actions)
    table.automatic = True
    table.do([])
    table.wait(2_100)
    assert sum(span.samples for span in table.spans()) == 48_000
    assert table.spans()[0].run_start_ms == table.now_ms - 2_100 - 1_000


# -- acks


def test_an_ack_follows_every_chunk_and_only_redis_answer_makes_it(closed_desk, second):
    table = closed_desk().start()
    table.automatic = False
    table.send(second)
    assert isinstance(table.one(), Encode)
    assert table.of("ack") == []
    assert isinstance(table.actions[0], Append)
    assert table.of("ack") == []
    table.automatic = True
    table.do([])
    assert table.of("ack") == [
        {"type": "ack", "conversation_id": "conv-1", "offset": 2 * (16_000 - 104), "stored": 0}
    ]


def test_opus_is_acked_within_a_chunk_of_its_arrival(desk, packets):
    table = desk(codec="opus")
    for packet in packets[:100]:
        table.send(packet)
        table.wait(20)
    assert len(table.entries) == 2
    assert table.acked == sum(map(len, packets[:100]))
    assert tuple(p for span in table.runs() for p in span.packets) == tuple(packets[:100])


def test_a_client_that_stalls_gets_its_ack_all_the_same(desk, packets):
    table = desk(codec="opus")
    table.send(packets[0])
    table.wait(900)
    assert table.acked == 0
    table.wait(200)
    assert table.acked == len(packets[0])


def test_up_to_30_ms_of_pcm_stay_unacked_until_the_line_is_silent(desk, second):
    table = desk()
    table.send(second)
    assert len(second) - 32 * 30 <= table.acked < len(second)
    table.wait(2_000)
    assert table.acked == len(second)


def test_stored_is_refreshed_where_no_append_brings_it(desk, second):
    table = desk()
    table.send(second)
    table.wait(3_000)
    assert table.texts[-1]["stored"] == 0
    table.settled = EntryId(1_000, len(second))
    table.wait(14_000)
    assert table.texts[-1] == {
        "type": "ack",
        "conversation_id": "conv-1",
        "offset": len(second),
        "stored": len(second),
    }
    before = len(table.texts)
    table.wait(60_000)
    assert len(table.texts) == before


def test_stored_stops_before_the_first_dead_byte(desk, second):
    table = desk()
    table.send(second)
    table.settled, table.dead_offset = EntryId(1_000, len(second)), 100
    table.wait(3_000)
    assert table.of("ack")[-1]["stored"] == 100


def test_one_append_is_under_way_at_a_time(closed_desk, packets):
    table = closed_desk(codec="opus").start()
    table.automatic = False
    for packet in packets[:200]:
        table.send(packet)
    assert sum(isinstance(action, Append) for action in table.actions) == 1


# -- finalize


def test_finalize_flushes_and_asks_and_is_answered_when_the_bucket_has_it(desk, second):
    table = desk()
    table.send(second[:7_001])
    table.say(type="finalize")
    assert table.acked == 7_000
    assert AskToStore("conv-1", "finalize", False) in table.hints
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


# -- conversation


def test_another_conversation_gets_a_session_of_its_own(desk, second):
    table = desk()
    table.send(second)
    table.say(type="conversation", conversation_id="conv-2")
    assert table.acked == len(second)
    assert table.hints[-2:] == [
        AskToStore("conv-1", "switch", True),
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
    assert table.hints[-1] == AskToStore("conv-1", "end", True)
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
    again = desk(resume=1_000, opened=resumed(9_000, first.position()))
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
    assert table.codes == [1012]


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


# -- bad input


@pytest.mark.parametrize("text", ["{", "[]", "7", "null", '"close"', "\x00"])
def test_malformed_json_is_an_error_and_the_session_goes_on(desk, second, text):
    table = desk()
    table.do(table.session.text(text, table.now_ms))
    assert table.of("error")[0]["code"] == "bad_json"
    table.send(second)
    assert table.acked > 0


def test_unknown_types_are_nothing(desk):
    table = desk()
    table.say(type="hello")
    table.say(type="keepalive")
    assert len(table.texts) == 1


@pytest.mark.parametrize("mark", [{}, {"at_ms": "now"}, {"at_ms": 0}, {"at_ms": 10**15}, {"at_ms": 1.5}])
def test_a_bad_mark_is_an_error_and_nothing_else(desk, mark):
    table = desk()
    table.say(type="mark", **mark)
    assert table.of("error")[0]["code"] == "bad_mark"


def test_a_mark_ahead_flushes_and_begins_a_run(desk, second):
    table = desk()
    table.say(type="mark", at_ms=table.now_ms - 60_000)
    table.send(second[:9_999])
    table.send(second[:1])
    table.say(type="mark", at_ms=table.now_ms - 50_000)
    assert table.acked == 10_000
    table.send(second)
    table.say(type="close")
    assert [(span.run_start_ms, span.samples) for span in table.runs()] == [
        (table.now_ms - 60_000, 15_000),
        (table.now_ms - 50_000, 48_000),
    ]


def test_a_message_that_is_too_big_ends_the_socket_after_what_came_before(desk, second):
    table = desk()
    table.send(second)
    table.send(bytes(65_537))
    assert table.of("error")[0]["code"] == "too_big"
    assert table.acked == len(second)
    assert table.codes == [1009]


def test_a_long_text_is_no_error_up_to_64_kib(desk, second):
    table = desk()
    table.send(second)
    table.say(type="hello", more="x" * 65_000)
    assert (table.of("error"), table.codes) == ([], [])
    table.say(type="hello", more="x" * 65_536)
    assert [error["code"] for error in table.of("error")] == ["too_big"]
    assert table.acked == len(second)
    assert table.codes == [1009]


def test_a_packet_that_is_none_is_counted_and_left_out(desk, packets):
    table = desk(codec="opus")
    table.send(packets[0])
    table.send(b"\xff\xff\xff")
    table.send(b"")
    table.send(packets[1])
    table.say(type="close")
    assert [error["code"] for error in table.of("error")] == ["bad_audio", "bad_audio"]
    assert table.acked == len(packets[0]) + 3 + len(packets[1])
    assert [p for span in table.runs() for p in span.packets] == packets[:2]


def test_fifty_bad_packets_in_a_row_end_the_socket(desk, packets):
    table = desk(codec="opus")
    for _ in range(49):
        table.send(b"\xff\xff\xff")
    table.send(packets[0])
    assert table.codes == []
    for _ in range(50):
        table.send(b"\xff\xff\xff")
    assert table.codes == [1007]
    assert table.acked == 99 * 3 + len(packets[0])


def test_in_plain_two_bytes_are_a_keepalive_and_in_v1_one_is_audio(desk, packets):
    plain = desk("plain", "opus", 16_000)
    plain.send(b"\x00\x00")
    plain.say(type="close")
    assert plain.acked == 0
    v1 = desk(codec="opus")
    v1.send(packets[0])
    v1.send(packets[0][:1])  # a TOC alone: discontinued transmission
    v1.say(type="close")
    assert v1.acked == len(packets[0]) + 1
    assert sum(span.samples for span in v1.spans()) == 2 * 960 - 312


# -- pressure


def test_eight_seconds_wait_at_most_then_the_socket_is_not_read(desk, packets):
    table = desk(codec="opus")
    table.automatic = False
    for packet in packets[:399]:
        table.send(packet)
    assert table.session.reading
    for packet in packets[399:450]:
        table.send(packet)
    assert not table.session.reading
    table.automatic = True
    table.do([])
    assert table.session.reading
    assert [text["state"] for text in table.of("status")] == ["buffering", "ok"]
    assert table.acked > sum(map(len, packets[:390]))


def test_two_mebibytes_wait_at_most(desk):
    table = desk(codec="opus")
    table.automatic = False
    packet = bytes([0b11111_0_11, 1]) + bytes(60_000)
    count = 0
    while table.session.reading:
        table.send(packet)
        count += 1
    assert 2 * 1024 * 1024 <= count * len(packet) < 2 * 1024 * 1024 + 2 * len(packet)


def test_a_session_is_calm_only_while_packets_are_kept_and_nothing_is_wanted_or_in_trouble(
    desk, packets, second
):
    table = desk(codec="opus")
    for packet in packets[:50]:
        table.send(packet)
    assert table.session.calm
    table.automatic = False
    for packet in packets[50:100]:
        table.send(packet)
    table.do(table.session.unavailable("append", table.now_ms))
    assert not table.session.calm, "Redis is away"
    asked = desk(codec="opus")
    asked.send(packets[0])
    asked.say(type="finalize")
    assert not asked.session.calm, "an answer is waited for"
    encoded = desk()
    encoded.send(second)
    assert not encoded.session.calm, "an encoder has jobs that come with time"


def test_while_redis_is_away_appends_are_tried_again_with_growing_pauses(desk, packets):
    table = desk(codec="opus")
    table.automatic = False
    for packet in packets[:50]:
        table.send(packet)
    tries = 0
    for _ in range(100):
        table.do(table.session.tick(table.now_ms))
        if appends := [action for action in table.actions if isinstance(action, Append)]:
            tries += 1
            assert str(appends[0].request.before) == "1000-0"
            table.actions.clear()
            table.do(table.session.unavailable("append", table.now_ms))
        table.now_ms += 100
    assert 12 <= tries <= 20
    table.do(table.session.tick(table.now_ms))
    table.now_ms += 1_000
    table.automatic = True
    table.wait(1_100)
    assert table.acked == sum(map(len, packets[:50]))
    assert [text["state"] for text in table.of("status")][-1:] == ["ok"]
    assert len(table.entries) == 1


def test_thirty_seconds_without_progress_end_the_socket(desk, packets):
    table = desk(codec="opus")
    table.automatic = False
    for packet in packets[:50]:
        table.send(packet)
    table.now_ms += 29_900
    table.do(table.session.tick(table.now_ms))
    assert not any(isinstance(action, Close) for action in table.actions)
    table.now_ms += 200
    table.do(table.session.tick(table.now_ms))
    assert table.actions[-1] == Close(1013)
    error = json.loads(table.actions[-2].text)
    assert error["code"] == "unavailable"
    assert error["retry_after_ms"] > 0


def test_an_open_that_finds_redis_away_is_tried_again(closed_desk, second):
    table = closed_desk(automatic=False).start()
    for _ in range(3):
        assert isinstance(table.actions.pop(), Open)
        table.do(table.session.unavailable("open", table.now_ms))
        table.actions = [action for action in table.actions if isinstance(action, Open)]
        table.now_ms += 1_000
        table.do(table.session.tick(table.now_ms))
    table.automatic = True
    table.do([])
    table.send(second)
    assert table.acked > 0


# -- what Redis may have done meanwhile


def test_a_redis_that_lost_writes_gets_them_again(desk, packets):
    table = desk(codec="opus")
    for packet in packets[:200]:
        table.send(packet)
    lost = table.entries[1:]
    del table.entries[1:]
    table.newest = table.entries[0][1]
    for packet in packets[200:250]:
        table.send(packet)
    assert table.entries[1:4] == lost
    assert table.acked == sum(map(len, packets[:250]))
    assert [p for span in table.runs() for p in span.packets] == packets[:250]


def test_a_redis_that_forgot_the_owner_is_opened_again(desk, packets):
    table = desk(codec="opus")
    for packet in packets[:50]:
        table.send(packet)
    table.opened = resumed(table.newest.offset)
    table.automatic = False
    table.replace("")
    assert table.actions[0] == Open("conv-1", 1_000, True, 0)
    for packet in packets[50:100]:
        table.send(packet)
    assert not any(isinstance(action, Append) for action in table.actions)
    table.automatic = True
    table.do([])
    assert table.acked == sum(map(len, packets[:100]))
    assert table.codes == []


@pytest.mark.parametrize("answer", [Opened(2_000, False, 0, None, None, None), resumed(10**6)])
def test_where_it_is_in_doubt_what_redis_holds_the_client_comes_back(desk, packets, answer):
    table = desk(codec="opus")
    for packet in packets[:50]:
        table.send(packet)
    table.opened = answer
    table.replace("")
    assert table.codes == [1012]
    assert len(table.entries) == 1


# -- hints


def test_an_append_into_an_empty_buffer_makes_the_conversation_due(desk, packets):
    table = desk(codec="opus")
    for packet in packets[:50]:
        table.send(packet)
    assert table.hints[-1] == Due("conv-1", table.now_ms + 60_000)
    before = len(table.hints)
    for packet in packets[50:100]:
        table.send(packet)
    assert len(table.hints) == before


def test_shorter_batches_are_due_and_hinted_at_sooner(desk, packets):
    table = desk(codec="opus", batch_ms=5_000)
    assert table.hints == [Watch("conv-1", table.now_ms + 5_000)]
    for packet in packets[:50]:
        table.send(packet)
    assert table.hints[-1] == Due("conv-1", table.now_ms + 5_000)


def test_a_steady_session_costs_one_command_a_second(desk, packets):
    table = desk(codec="opus")
    for _ in range(3):
        for packet in packets:
            table.send(packet)
            table.wait(20)
    commands = len(table.entries) + sum(isinstance(hint, (Due, Ready)) for hint in table.hints)
    assert commands <= 1.1 * 30
    assert not any(isinstance(action, LookStored) for action in table.actions)


def test_a_defect_is_told_with_its_incident(desk):
    table = desk()
    table.do(table.session.broke("abc123"))
    assert table.texts[-1]["code"] == "internal"
    assert "abc123" in table.texts[-1]["message"]
    assert table.codes == [1011]
