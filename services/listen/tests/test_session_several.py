"""Messages given to a session several at once: what comes of them is what would have come of each by itself."""

import random

import pytest

from listen.connection import SEVERAL
from listen.load import LAST_PACKET_MS
from tapedeck_testing.bloated import bloated


def chunks(desk):
    return [(id_, chunk.packets, chunk.samples, chunk.lead) for (_, id_, _), chunk in _pairs(desk)]


def _pairs(desk):
    return list(zip(desk.entries, desk.chunks(), strict=True))


@pytest.mark.parametrize("seed", range(20))
def test_the_chunks_are_the_same_wherever_the_messages_are_parted(desk, packets, seed):
    chooser = random.Random(seed)
    messages = [
        packet
        if chooser.random() > 0.03
        else chooser.choice([b"\xff\xff\xff", b"", bytes(3_000), bloated(packets[0], 2_000)])
        for packet in packets[:300]
    ]
    one, several = desk("v1", "opus"), desk("v1", "opus")
    for message in messages:
        one.send(message)
    rest = list(messages)
    while rest:
        if several.session.load.takes_several:
            count = chooser.randint(1, SEVERAL)
            several.do(several.session.several(rest[:count], several.now_ms, several.now_ms))
        else:
            count = 1
            several.send(rest[0])
        del rest[:count]
    for each in (one, several):
        each.say(type="close")
    assert chunks(several) == chunks(one)
    assert several.acked == one.acked == sum(map(len, messages))
    assert several.of("error") == one.of("error")
    assert several.codes == one.codes == [1000]


def test_fifty_bad_ones_in_a_row_are_counted_across_what_comes_at_once(desk, packets):
    each = desk("v1", "opus")
    each.send(packets[0])
    for _ in range(5):
        each.do(each.session.several([b"\xff\xff\xff"] * 10, each.now_ms, each.now_ms))
    assert each.codes == [1007]


@pytest.mark.parametrize(("dialect", "codec"), [("plain", "opus"), ("v1", "pcm16"), ("v1", "aac")])
def test_where_each_arrival_or_byte_counts_they_come_one_by_one(desk, packets, dialect, codec):
    each = desk(dialect, codec)
    each.send(packets[0])
    assert not each.session.load.takes_several


def test_the_first_one_and_the_first_after_a_mark_come_alone(desk, packets, now_ms):
    each = desk("v1", "opus")
    assert not each.session.load.takes_several
    each.send(packets[0])
    assert each.session.load.takes_several
    each.say(type="mark", at_ms=now_ms + 20_000)
    assert not each.session.load.takes_several
    each.send(packets[1])
    assert each.session.load.takes_several
    each.say(type="conversation", conversation_id="another")
    assert not each.session.load.takes_several


def test_an_open_chunk_is_looked_at_when_it_is_due(desk, packets):
    each = desk("v1", "opus")
    each.send(packets[0])
    began_ms = each.now_ms
    each.now_ms += 400
    assert each.session.calm
    assert each.session.load.calm_until_ms(each.now_ms) == began_ms + 1_000 + LAST_PACKET_MS
    each.wait(700)
    assert each.acked == len(packets[0])
    assert each.session.load.calm_until_ms(each.now_ms) == each.now_ms + 1_000
