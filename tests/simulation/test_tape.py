"""What a device records, in bytes and in time."""

import pytest

from tapedeck_testing.simulation.chance import Chance
from tapedeck_testing.simulation.tape import PACKET_MS, PCM_BYTES_MS, number_of, record

START_MS = 1_764_000_000_000


def test_packets_say_where_they_belong():
    tape = record(3, "u", "c", START_MS, Chance(5, []))
    assert [number_of(packet) for packet in tape.packets] == [
        (3, index) for index in range(len(tape.packets))
    ]
    assert tape.index_at(tape.begins[4]) == 4
    assert tape.rest(tape.begins[4]) == tape.packets[4]
    assert tape.at_ms(tape.begins[4]) == tape.captured_ms[4]
    with pytest.raises(ValueError, match="no packet begins"):
        tape.index_at(tape.begins[4] + 1)


def test_of_pcm_any_byte_has_its_time():
    tape = record(3, "u", "c", START_MS, Chance(5, []), pcm=True)
    size = PACKET_MS * PCM_BYTES_MS
    assert tape.total == size * len(tape.packets)
    within = tape.begins[2] + 10 * PCM_BYTES_MS
    assert (tape.index_at(within), tape.at_ms(within)) == (2, tape.captured_ms[2] + 10)
    assert len(tape.rest(within)) == size - 10 * PCM_BYTES_MS
    assert tape.index_at(tape.total) == len(tape.packets)
