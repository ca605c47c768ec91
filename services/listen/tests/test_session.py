"""The protocol page, row by row, played through without a socket: opening, acks, hints."""

from audiobus import EntryId, Opened
from listen.actions import Append, Due, Encode, LookStored, Open, Ready, Watch

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
