"""Whatever a client sends while Redis does not answer: a session stops reading it before it has taken much memory."""

import itertools
import json
import tracemalloc

import pytest

from listen.actions import Encode, Open
from listen.pressure import MAX_WAITING_BYTES

MOST_BYTES = 2 * MAX_WAITING_BYTES
"""What is counted is about what is taken; this is a bound for both."""
MESSAGES = 20_000
FEWER = 3_000
"""Of those that cost more: each is an event of its own."""
TINY = bytes([0x80])
"""2.5 ms of Opus, a single byte."""
BIG = bytes([0x83, 48]) + bytes(48 * 1_275)
"""120 ms of Opus in one packet, as large as that may be."""


def mark(at_ms: int) -> str:
    return json.dumps({"type": "mark", "at_ms": at_ms})


def marks_before(data: bytes, now_ms: int):
    for number in itertools.count():
        yield mark(now_ms - 20 * 24 * 3_600_000 + 60 * number)
        yield data


def alternating(*messages):
    return itertools.cycle(messages)


FLOODS = {
    "one byte of PCM after the other": ("v1", "pcm16", 1, lambda _: itertools.repeat(b"x")),
    "a byte of each channel in turn": ("v1", "pcm16", 2, lambda _: alternating(b"\1x", b"\2x")),
    "a mark before every sample": ("v1", "pcm16", 1, lambda now_ms: marks_before(b"xx", now_ms)),
    "a mark before every packet": ("v1", "opus", 1, lambda now_ms: marks_before(TINY, now_ms)),
    "packets of one byte": ("v1", "opus", 1, lambda _: itertools.repeat(TINY)),
    "packets of one byte in two channels": (
        "v1",
        "opus",
        2,
        lambda _: alternating(b"\1" + TINY, b"\2" + TINY),
    ),
    "packets as large as can be": ("v1", "opus", 1, lambda _: itertools.repeat(BIG)),
    "packets and 49 that are none": (
        "v1",
        "opus",
        2,
        lambda _: alternating(b"\1" + TINY, b"\2" + TINY, *[b"\1\3"] * 49),
    ),
    "finalize after every packet": ("v1", "opus", 1, lambda _: alternating(TINY, '{"type":"finalize"}')),
    "finalize and nothing else": ("v1", "opus", 1, lambda _: itertools.repeat('{"type":"finalize"}')),
    "plain audio that may be late": ("plain", "pcm8", 1, lambda _: itertools.repeat(b"xxx")),
    "malformed texts": ("v1", "opus", 1, lambda _: itertools.repeat("{")),
}
DEAR = {"packets and 49 that are none", "finalize and nothing else", "malformed texts"}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_while_redis_takes_nothing(closed_desk, now_ms, name):
    dialect, codec, channels, flood = FLOODS[name]
    desk = closed_desk(dialect, codec, channels=channels, automatic=False)
    session = desk.session
    desk.do(session.start(now_ms))
    desk.one(Open)
    desk.actions.clear()
    if dialect == "plain":
        session.binary(b"first", now_ms)
        desk.now_ms += 1_500
    late_ms = desk.now_ms - now_ms
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        count = FEWER if name in DEAR else MESSAGES
        for number, message in zip(range(count), flood(now_ms), strict=False):
            if not session.reading:
                break
            at_ms = now_ms + late_ms + number // 50
            event = session.text if isinstance(message, str) else session.binary
            for action in event(message, at_ms):
                if isinstance(action, Encode):
                    desk.actions.append(action)  # never done: the pool has others to do
            if number % 1_000 == 0:
                session.tick(at_ms)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken - before < MOST_BYTES
    assert session.load.held_bytes < MOST_BYTES


def test_texts_before_the_session_is_open(closed_desk, now_ms):
    desk = closed_desk("v1", automatic=False)
    desk.do(desk.session.start(now_ms))
    long = "x" * 60_000
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(200):
            desk.session.text(json.dumps({"type": "conversation", "conversation_id": long}), now_ms)
            desk.session.text(json.dumps({"type": "finalize", "more": long}), now_ms)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken - before < 64 * 1024
