"""What readers ask for, and when an answer breaks the promise."""

import asyncio
import contextlib
import random

import pytest

from audiocodec import OggOpusWriter, OpusHead, OpusTags
from tapedeck_testing.faults import reading
from tapedeck_testing.faults.device import Device
from tapedeck_testing.faults.numbered import numbered
from tapedeck_testing.faults.reading import (
    EDGE,
    WINDOW_MS,
    Reader,
    ReaderSpec,
    Reads,
    Wish,
    lacking,
    newest,
    wish,
)
from tapedeck_testing.faults.tape import Tape, speech

SOUND = speech(60, seconds=6)
BEGAN_MS = 1_732_147_200_000
ASKED = Wish("u", "c", 3, BEGAN_MS, BEGAN_MS + 600, range(2, 8), live=False)


def device(acked, keep="acked"):
    tape = Tape("opus", SOUND, device=3, seconds=60, start_ms=BEGAN_MS, holes=[(6.0, 900)])
    one = Device(tape, conversation_id="c", token="t", keep=keep, seed=1)
    one.progress.acked = tape.begin(acked)
    return one


def plain_device():
    tape = Tape("plain-opus", SOUND, device=4, seconds=60, start_ms=BEGAN_MS)
    one = Device(tape, conversation_id="p", token="t", keep="acked", seed=1)
    one.progress.acked = tape.begin(700)
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
    assert lacking(ASKED, packets(range(2, 8))) == []
    assert lacking(ASKED, packets(range(10))) == []


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
    assert any(says in text for text in lacking(ASKED, packets(indices)))


def test_packets_of_others_are_found():
    assert any("of others" in text for text in lacking(ASKED, packets(range(2, 8), number=4)))


def test_what_readers_have_seen_adds_up():
    one = Reads(complete=1, packets=10, live=1, at_rest=1, refused={"503": 1}, broken=["a"])
    two = Reads(complete=2, packets=5, live=0, at_rest=2, refused={"503": 2, "502": 1}, broken=["b"])
    assert one.plus(two) == Reads(3, 15, 1, 3, {"503": 3, "502": 1}, ["a", "b"])


# -- at rest -------------------------------------------------------------------------------------------------------------


def sound_of(indices):
    """What storage-api answers."""
    writer = OggOpusWriter(OpusHead(1, 312, 16_000), OpusTags("test"), 7)
    tape = device(700).tape
    pages = [writer.start(), *(writer.packet(tape.message(index), 2_880) for index in indices)]
    return b"".join([*pages, writer.finish()])


@contextlib.asynccontextmanager
async def answering(*answers):
    """A server that gives these answers in turn, then the last one for ever: code, further headers, body."""
    left = list(answers)

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        code, headers, body = left.pop(0) if len(left) > 1 else left[0]
        head = f"HTTP/1.1 {code} X\r\n{headers}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


async def read_at_rest(*answers):
    async with answering(*answers) as url:
        reader = Reader(ReaderSpec(url, "t"), seed=1)
        await reader.at_rest([("u", "c", device(700)), ("u", "p", plain_device()), ("u", "new", device(3))])
    return reader.reads


async def test_at_rest_who_is_refused_asks_again_until_the_answer_is_whole():
    asked = newest("u", "c", device(700))
    assert asked is not None
    assert asked.packets.stop == 700 - EDGE
    reads = await read_at_rest(
        (503, "", b""), (200, "Tapedeck-Live: unavailable\r\n", b""), (200, "", sound_of(asked.packets))
    )
    assert reads == Reads(1, len(asked.packets), 1, 1, {"503": 1, "said to be incomplete": 1}, [])


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((503, "", b""), "refused still"),
        ((404, "", b"gone"), "404 gone"),
        ((200, "", b"no Ogg"), "no Ogg Opus"),
        ((200, "", sound_of(range(500, 690))), "acked packets are missing"),
    ],
)
async def test_at_rest_no_refusal_lasts_and_no_answer_lacks_anything(monkeypatch, answer, says):
    monkeypatch.setattr(reading, "AT_REST_S", 0.3)
    reads = await read_at_rest(answer)
    assert (reads.complete, reads.at_rest, len(reads.broken)) == (0, 0, 1)
    assert says in reads.broken[0]
