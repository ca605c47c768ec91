"""What a session holds, and how long it can be left alone."""

from listen.load import CALM_MS, LAST_PACKET_MS, PLAIN_CALM_MS


def test_what_waits_is_held_until_it_is_safe(closed_desk, packets):
    table = closed_desk(codec="opus").start()
    table.automatic = False
    for packet in packets[:50]:
        table.send(packet)
    load = table.session.load
    assert load.waiting_samples == 50 * 960 - 312
    held = load.held_bytes
    assert held >= sum(map(len, packets[:50]))
    table.automatic = True
    table.do([])
    table.wait(1_000)
    assert load.waiting_samples == 0
    assert table.acked == sum(map(len, packets[:50]))


def test_a_socket_that_may_hold_nothing_is_not_read(desk, packets):
    table = desk(codec="opus")
    load = table.session.load
    assert load.bearable
    load.allow(0, 0)
    table.automatic = False
    table.send(packets[0])
    table.wait(100)
    assert not load.bearable


def test_a_calm_session_rests_until_its_chunk_is_due_and_a_plain_one_for_less(desk, packets):
    table = desk(codec="opus")
    load = table.session.load
    assert load.calm
    assert load.calm_until_ms(table.now_ms) == table.now_ms + CALM_MS
    table.send(packets[0])
    table.now_ms += 400
    assert load.calm_until_ms(table.now_ms) == table.now_ms + 600 + LAST_PACKET_MS
    plain = desk("plain", codec="opus")
    assert plain.session.load.calm_until_ms(plain.now_ms) == plain.now_ms + PLAIN_CALM_MS


def test_packets_may_be_taken_several_at_once_once_there_is_a_recording(closed_desk):
    table = closed_desk(codec="opus", automatic=False).start()
    assert not table.session.load.takes_several
    assert not closed_desk(codec="pcm16").start().session.load.takes_several
