"""What a client says that is wrong, odd or too big."""

import pytest


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
