from collections.abc import Callable

import pytest

from audiobus import Lag, Position, decode_chunk
from audiocodec.packet import packet_facts
from listen.audio_format import AudioFormat
from listen.chunker import CHUNK_BYTES_LIMIT, Chunker

OPUS = AudioFormat("opus", 16_000)
CELT_2_5_MS = bytes([0b10000_0_00]) + bytes(10)


@pytest.fixture
def chunker() -> Chunker:
    return Chunker(OPUS, 1_000, 0)


@pytest.fixture
def fill(chunker: Chunker, packets: list[bytes], now_ms: int) -> Callable[[int], int]:
    """Adds so many packets of 20 ms, as a lane does; answers the offset after them."""
    offset = 0

    def run(count: int) -> int:
        nonlocal offset
        for packet in packets[:count]:
            offset += len(packet)
            if chunker.add(packet, 960, offset, now_ms):
                chunker.close(now_ms)
        return offset

    return run


def test_a_chunk_is_closed_when_it_holds_its_audio(chunker, fill, now_ms, packets):
    chunker.begin(now_ms, 0, lead=312, starts=True, now_ms=now_ms)
    assert chunker.due_at_ms is None
    fill(49)
    assert chunker.take() == []
    end = fill(1)
    (ready,) = chunker.take()
    chunk = decode_chunk(ready.chunk.encode())
    assert (chunk.samples, chunk.lead, chunk.trim, chunk.first_sample) == (48_000 - 312, 312, 0, 0)
    assert (chunk.first_offset, ready.end_offset, chunk.starts) == (0, end, True)
    assert (ready.position.run_start_ms, ready.position.next_sample) == (now_ms, 48_000 - 312)
    assert not chunker.holds


def test_the_next_chunk_goes_on_where_the_last_one_ended(chunker, fill, now_ms):
    chunker.begin(now_ms, 0, lead=312, starts=True, now_ms=now_ms)
    fill(50)
    fill(50)
    first, second = (decode_chunk(ready.chunk.encode()) for ready in chunker.take())
    assert (second.first_sample, second.lead, second.starts) == (first.samples, 0, False)
    assert second.samples == 48_000


def test_a_chunk_waits_no_longer_than_its_time_for_a_client_that_stalls(chunker, fill, now_ms):
    chunker.begin(now_ms, 0, lead=0, starts=False, now_ms=now_ms)
    fill(3)
    assert chunker.due_at_ms == now_ms + 1_000
    chunker.tick(now_ms + 999)
    assert chunker.take() == []
    chunker.tick(now_ms + 1_000)
    assert chunker.take()[0].chunk.samples == 3 * 960


def test_a_lead_longer_than_a_chunk_goes_on_in_the_next(now_ms):
    chunker = Chunker(OPUS, 100, 0)
    chunker.begin(now_ms, 0, lead=7_000, starts=True, now_ms=now_ms)
    for index in range(80):
        if chunker.add(CELT_2_5_MS, packet_facts(CELT_2_5_MS).samples, 11 * (index + 1), now_ms):
            chunker.close(now_ms)
    first, second = (decode_chunk(ready.chunk.encode()) for ready in chunker.take())
    assert (first.lead, first.samples, first.starts) == (4_800, 0, True)
    assert (second.lead, second.samples, second.starts, second.first_sample) == (2_200, 2_600, False, 0)


def test_padding_at_the_end_is_not_played(chunker, packets, now_ms):
    chunker.begin(now_ms, 0, lead=312, starts=True, now_ms=now_ms)
    chunker.add(packets[0], 960, 10, now_ms)
    chunker.close(now_ms, trim=600)
    (ready,) = chunker.take()
    assert decode_chunk(ready.chunk.encode()).samples == 960 - 312 - 600


def test_a_new_run_begins_a_new_chunk(chunker, fill, now_ms):
    chunker.begin(now_ms, 0, lead=0, starts=False, now_ms=now_ms)
    fill(3)
    chunker.begin(now_ms + 5_000, 0, lead=312, starts=False, now_ms=now_ms)
    fill(2)
    chunker.close(now_ms)
    first, second = (decode_chunk(ready.chunk.encode()) for ready in chunker.take())
    assert (first.run_start_ms, second.run_start_ms) == (now_ms, now_ms + 5_000)
    assert second.first_offset == first.first_offset + sum(map(len, first.packets))
    assert (second.first_sample, second.lead, second.starts) == (0, 312, False)


def test_many_bytes_that_are_left_out_are_a_chunk_before_any_audio(chunker, now_ms):
    for count in range(1, 6):
        assert chunker.take() == []
        chunker.leave_out(count * CHUNK_BYTES_LIMIT // 5, now_ms)
    (ready,) = chunker.take()
    assert (ready.end_offset, ready.position) == (CHUNK_BYTES_LIMIT, None)
    assert not chunker.holds


def test_bytes_that_are_left_out_only_move_the_offset(chunker, fill, now_ms):
    chunker.begin(now_ms, 0, lead=0, starts=True, now_ms=now_ms)
    end = fill(2)
    chunker.close(now_ms)
    chunker.leave_out(end + 7, now_ms)
    chunker.close(now_ms)
    _, empty = chunker.take()
    chunk = decode_chunk(empty.chunk.encode())
    assert (chunk.packets, chunk.samples, chunk.first_offset, empty.end_offset) == ((), 0, end, end + 7)
    assert (chunk.first_sample, chunk.starts) == (1_920, False)


def test_what_is_left_out_before_any_audio_waits_for_it(chunker, fill, packets, now_ms):
    chunker.leave_out(7, now_ms)
    assert chunker.due_at_ms is None
    chunker.begin(now_ms, 0, lead=0, starts=True, now_ms=now_ms)
    chunker.add(packets[0], 960, 7 + len(packets[0]), now_ms)
    chunker.close(now_ms)
    chunks = chunker.take()
    assert [(ready.chunk.first_offset, ready.end_offset) for ready in chunks] == [
        (0, 7),
        (7, 7 + len(packets[0])),
    ]
    assert chunks[1].chunk.starts


def test_nothing_is_closed_that_moves_no_offset(chunker, now_ms):
    chunker.begin(now_ms, 0, lead=0, starts=True, now_ms=now_ms)
    chunker.leave_out(0, now_ms)
    chunker.close(now_ms)
    assert chunker.take() == []
    assert not chunker.holds


def test_packets_of_which_no_byte_counts_yet_wait_for_one_that_does(chunker, packets, now_ms):
    chunker.begin(now_ms, 0, lead=312, starts=True, now_ms=now_ms)
    chunker.add(packets[0], 960, 0, now_ms)
    chunker.close(now_ms)
    chunker.tick(now_ms + 5_000)
    assert chunker.take() == []
    assert chunker.holds
    chunker.add(packets[1], 960, 7, now_ms)
    chunker.close(now_ms)
    (ready,) = chunker.take()
    assert (ready.chunk.packets, ready.end_offset) == ((packets[0], packets[1]), 7)
    assert not chunker.holds


def test_packets_of_which_no_byte_counts_can_be_given_up(chunker, packets, now_ms):
    chunker.begin(now_ms, 0, lead=312, starts=True, now_ms=now_ms)
    chunker.add(packets[0], 960, 0, now_ms)
    chunker.close(now_ms)
    chunker.give_up()
    assert not chunker.holds
    chunker.leave_out(7, now_ms)
    chunker.close(now_ms)
    assert chunker.take()[0].chunk.packets == ()


def test_a_position_says_what_its_lane_says_of_the_bytes_that_come(chunker, packets, now_ms):
    chunker.begin(now_ms, 0, lead=312, starts=True, now_ms=now_ms)
    chunker.add(packets[0], 960, 7, now_ms)
    chunker.lags = (Lag(5),)
    chunker.close(now_ms)
    (ready,) = chunker.take()
    assert ready.position == Position(now_ms, 960 - 312, (Lag(5),))


def test_a_session_that_goes_on_keeps_its_position_though_its_first_bytes_are_none(now_ms):
    position = Position(now_ms, 960, (Lag(5),))
    chunker = Chunker(OPUS, 1_000, 40, position)
    chunker.leave_out(47, now_ms)
    chunker.close(now_ms)
    (ready,) = chunker.take()
    assert (ready.chunk.first_offset, ready.end_offset, ready.position) == (40, 47, position)


def test_large_packets_close_a_chunk_early(chunker, now_ms):
    packet = bytes([0b11111_0_11, 1]) + bytes(60_000)
    chunker.begin(now_ms, 0, lead=0, starts=True, now_ms=now_ms)
    for index in range(5):
        if chunker.add(packet, 960, (index + 1) * len(packet), now_ms):
            chunker.close(now_ms)
    (ready,) = chunker.take()
    assert CHUNK_BYTES_LIMIT <= sum(map(len, ready.chunk.packets)) < CHUNK_BYTES_LIMIT + len(packet)


def test_before_the_first_audio_no_time_is_given_to_a_session():
    """A session whose first bytes were no packets, and that is resumed, begins its run at its own mark."""
    chunker = Chunker(AudioFormat("opus", 16_000), 1_000, 0)
    chunker.leave_out(40, 5_000)
    chunker.close(5_000)
    [silent] = chunker.take()
    assert (silent.end_offset, silent.chunk.packets, silent.position) == (40, (), None)
    chunker.begin(1_000, 0, lead=312, starts=True, now_ms=5_000)
    chunker.add(b"\xf8\xff\xfe", 960, 43, 5_000)
    chunker.close(5_000)
    [heard] = chunker.take()
    assert heard.position == Position(1_000, 960 - 312)
    chunker.leave_out(50, 6_000)
    chunker.close(6_000)
    assert chunker.take()[0].position == heard.position
