"""What readers ask for, and when an answer breaks the promise."""

import random

import pytest

from tapedeck_testing.faults.device import Device
from tapedeck_testing.faults.numbered import numbered
from tapedeck_testing.faults.reading import EDGE, WINDOW_MS, Reads, Wish, lacking, wish
from tapedeck_testing.faults.tape import Tape, speech

SOUND = speech(60, seconds=6)
BEGAN_MS = 1_732_147_200_000
ASKED = Wish("u", "c", BEGAN_MS, BEGAN_MS + 600, range(2, 8), live=False)


def device(acked, keep="acked"):
    tape = Tape("opus", SOUND, device=3, seconds=60, start_ms=BEGAN_MS, holes=[(6.0, 900)])
    one = Device(tape, conversation_id="c", token="t", keep=keep, seed=1)
    one.progress.acked = tape.begin(acked)
    return one


def packets(indices, number=3):
    return [numbered(b"audio", number, index) for index in indices]


@pytest.mark.parametrize("seed", range(40))
def test_only_what_is_acked_is_asked_for(seed):
    recorded = device(700)
    asked = wish("u", "c", recorded, random.Random(seed))
    assert asked is not None
    assert asked.packets.stop <= 700 - EDGE
    assert asked.end_ms - asked.start_ms <= WINDOW_MS
    for index in asked.packets:
        assert asked.start_ms <= recorded.tape.captured_ms(index)
        assert recorded.tape.captured_ms(index) + 60 <= asked.end_ms
    before = asked.packets.start - EDGE - 1
    assert before < 0 or recorded.tape.captured_ms(before) < asked.start_ms


def test_a_device_that_keeps_what_is_not_stored_is_promised_only_that():
    assert wish("u", "c", device(700, keep="stored"), random.Random(1)) is None
    assert wish("u", "c", device(3), random.Random(1)) is None


def test_an_answer_with_all_of_it_is_right_whatever_lies_at_its_edges():
    assert lacking(ASKED, packets(range(2, 8)), 3) == []
    assert lacking(ASKED, packets(range(10)), 3) == []


@pytest.mark.parametrize(
    ("indices", "says"),
    [
        ([2, 3, 4, 6, 7], "1 of 6 acked packets are missing"),
        ([], "6 of 6"),
        ([2, 3, 4, 4, 5, 6, 7], "twice"),
        ([2, 4, 3, 5, 6, 7], "out of order"),
    ],
)
def test_what_is_missing_or_there_twice_is_found(indices, says):
    assert any(says in text for text in lacking(ASKED, packets(indices), 3))


def test_packets_of_others_are_found():
    assert any("of others" in text for text in lacking(ASKED, packets(range(2, 8), number=4), 3))


def test_what_readers_have_seen_adds_up():
    one = Reads(complete=1, packets=10, live=1, refused={"503": 1}, broken=["a"])
    two = Reads(complete=2, packets=5, live=0, refused={"503": 2, "502": 1}, broken=["b"])
    assert one.plus(two) == Reads(3, 15, 1, {"503": 3, "502": 1}, ["a", "b"])
