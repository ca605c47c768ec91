import random

import pytest

from tapedeck.audio_format import AudioFormat
from tapedeck.listen_outbox import MAX_MESSAGE_BYTES, Outbox

PCM = AudioFormat("pcm16", 16000)
OPUS = AudioFormat("opus", 16000)


def outbox(audio=PCM, keep="acked", limit_bytes=1_000_000):
    return Outbox(audio, keep=keep, limit_bytes=limit_bytes)


def take_all(box):
    taken = []
    while (message := box.take(box.end + 1)) is not None:
        taken.append(message)
    return taken


def test_what_is_acked_is_dropped_and_makes_room():
    box = outbox(limit_bytes=100)
    box.add(bytes(100), 0, 0)
    assert not box.room
    take_all(box)
    box.settle(acked=99, stored=0)
    assert not box.room
    box.settle(acked=100, stored=0)
    assert box.room
    assert box.first_kept == box.cursor == 100


def test_what_must_be_stored_is_kept_until_then():
    box = outbox(keep="stored")
    box.add(bytes(100), 0, 0)
    take_all(box)
    box.settle(acked=100, stored=0)
    assert box.first_kept == 0
    box.settle(acked=100, stored=100)
    assert box.first_kept == 100


def test_positions_never_move_back_and_stored_never_passes_acked():
    box = outbox()
    box.add(bytes(100), 0, 0)
    take_all(box)
    box.settle(acked=50, stored=80)
    assert (box.acked, box.stored) == (50, 50)
    box.settle(acked=20, stored=10)
    assert (box.acked, box.stored) == (50, 50)


def test_large_pcm_is_cut_into_messages_and_a_packet_never_is():
    box = outbox()
    box.add(bytes(3 * MAX_MESSAGE_BYTES + 1), 0, 0)
    assert [len(m.payload) for m in take_all(box)] == [MAX_MESSAGE_BYTES] * 3 + [1]
    packets = outbox(OPUS)
    packets.add(bytes(MAX_MESSAGE_BYTES + 1), 0, 0)
    assert len(take_all(packets)) == 1


def test_take_stops_at_a_position():
    box = outbox()
    box.add(bytes(10), 0, 0)
    box.add(bytes(10), 0, 0)
    assert box.take(10).position == 0
    assert box.take(10) is None
    assert box.take(11).position == 10


@pytest.mark.parametrize("keep", ["acked", "stored"])
def test_after_any_rewind_the_bytes_from_there_come_again_exactly(keep):
    chance = random.Random(5)
    for _ in range(200):
        box = outbox(keep=keep)
        whole = b""
        received = b""
        for _ in range(chance.randrange(1, 30)):
            piece = chance.randbytes(chance.randrange(1, 50))
            whole += piece
            box.add(piece, 0, 0)
            if chance.random() < 0.6 and (message := box.take(box.end + 1)) is not None:
                assert message.position == len(received)
                received += message.payload
            if chance.random() < 0.2:
                box.settle(acked=chance.randrange(len(received) + 1), stored=0)
            if chance.random() < 0.2:
                back = chance.randrange(box.acked, len(received) + 1)
                received = received[:back]  # as a new socket finds it
                box.settle(acked=back, stored=0)
                box.rewind(back)
                assert box.cursor == back
        for message in take_all(box):
            assert message.position == len(received)
            received += message.payload
        assert received == whole


def test_a_mark_goes_with_its_byte_and_not_with_the_rest_of_a_cut_message():
    box = outbox()
    box.mark(5000)
    box.add(bytes(64), 0, 0)
    box.add(bytes(64), 0, 0)
    assert [m.mark_ms for m in take_all(box)] == [5000, None]
    box.rewind(0)
    assert box.take(1000).mark_ms == 5000
    box.rewind(32)
    cut = box.take(1000)
    assert (cut.position, cut.mark_ms, cut.captured_ms) == (32, None, 5001)


def test_each_channel_has_its_own_clock_since_the_last_mark():
    box = outbox(AudioFormat("pcm16", 16000, channels=2))
    box.mark(1000)
    for _ in range(2):
        box.add(bytes(320), 1, 0)
        box.add(bytes(320), 2, 0)
    assert [m.captured_ms for m in take_all(box)] == [1000, 1000, 1010, 1010]
    box.mark(5000)
    box.add(bytes(320), 2, 0)
    assert take_all(box)[0].captured_ms == 5000


def test_without_a_mark_the_clock_begins_when_the_first_payload_came():
    box = outbox()
    box.add(bytes(320), 0, 10_010)
    box.add(bytes(320), 0, 99_999)
    assert [m.captured_ms for m in take_all(box)] == [10_000, 10_010]


def test_a_session_that_takes_anothers_place_begins_with_a_mark_even_if_its_audio_is_still_to_come():
    box = outbox()
    box.mark(1000)
    box.add(bytes(330), 0, 0)
    take_all(box)
    box.settle(acked=330, stored=0)
    box.mark_next()
    box.add(bytes(320), 0, 0)
    assert take_all(box)[0].mark_ms == 1011  # 10.3 ms later, rounded up


def test_with_two_channels_every_message_holds_whole_samples():
    box = outbox(AudioFormat("pcm16", 16000, channels=2))
    for channel, payload in ((1, b"abc"), (2, b"A"), (1, b"d"), (2, b"BC"), (2, b"D")):
        box.add(payload, channel, 0)
    assert [(m.channel, m.payload) for m in take_all(box)] == [(1, b"ab"), (1, b"cd"), (2, b"AB"), (2, b"CD")]
    assert box.end == 8


def test_half_a_sample_before_a_hole_is_dropped():
    box = outbox(AudioFormat("pcm16", 16000, channels=2))
    box.add(b"abc", 1, 0)
    box.mark(5000)
    box.add(b"xy", 1, 0)
    assert [m.payload for m in take_all(box)] == [b"ab", b"xy"]


def test_a_message_cut_by_a_rewind_keeps_its_channel_and_its_clock():
    box = outbox(AudioFormat("pcm16", 16000, channels=2))
    box.mark(1000)
    for channel in (1, 2):
        box.add(bytes([channel]) * 3200, channel, 0)
    take_all(box)
    box.settle(acked=4000, stored=0)
    box.rewind(4000)
    (rest,) = take_all(box)
    assert (rest.position, rest.channel, rest.payload, rest.captured_ms) == (4000, 2, b"\2" * 2400, 1025)
