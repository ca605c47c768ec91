"""A Redis that is slow or away, and one that has lost what it had confirmed."""

import json

import pytest

from audiobus import Opened
from listen.actions import Append, Close, Open


def resumed(offset: int) -> Opened:
    return Opened(1_000, True, offset, None, None, None)


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
    assert table.codes == [1013]
    assert len(table.entries) == 1
