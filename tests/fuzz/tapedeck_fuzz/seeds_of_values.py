"""Seeds of what services say to each other, to clients and to operators: entries, states, texts, messages.

Each function gives the seeds of one target: a name and the bytes.
"""

import json
from collections.abc import Iterator
from dataclasses import replace

from audiobus import Chunk, Cut, Lag, Position
from audiobus.cut import Stored
from audiobus.state import STATE_FIELDS, PreRoll
from audiocodec import Span
from storage_api.page_tokens import write_page_token
from tapedeck_fuzz import events, fields
from tapedeck_fuzz.recordings import CONVERSATION, EPOCH, START_MS, adts_messages, recorded, speech
from tapedeck_fuzz.targets import http_query

Seeds = Iterator[tuple[str, bytes]]


def chunk_of(span: Span, source: str = "pcm16", channels: int = 1) -> bytes:
    """The entry that holds this span."""
    return Chunk(
        version=1, at_ms=START_MS + 1000, source=source, sample_rate=16_000, channels=channels,
        run_start_ms=span.run_start_ms, first_sample=span.first_sample, samples=span.samples, lead=span.lead,
        trim=span.trim, starts=span.starts, first_offset=span.first_offset, packets=span.packets,
    ).encode()  # fmt: skip


def preroll() -> PreRoll:
    """What is kept of a run for the batch after it."""
    span = recorded(0.5, finished=False)[0]
    return PreRoll(EPOCH, START_MS, span.samples, span.end_offset, span.packets)


def chunk() -> Seeds:
    first, *_, last = recorded(0.5)
    yield "first", chunk_of(first)
    yield "last", chunk_of(last)
    yield "opus-stereo", chunk_of(recorded(0.2, 2)[0], "opus", 2)
    yield "empty", chunk_of(replace(first, packets=(), samples=0, lead=0, starts=False))


def cut() -> Seeds:
    name = f"chunks/user/{CONVERSATION}/1732147200.000-1732147260.000.batch.bin"
    made = Cut(1, f"{EPOCH}-0", f"{EPOCH}-1920000", name, "standard", "full")
    yield "standard", made.encode()
    stored = (Stored(EPOCH, 0, 32_000), Stored(EPOCH, 64_000, 96_000))
    yield "excluding", Cut(1, made.first, made.last, name, "enhanced", "idle", stored).encode()
    yield "nothing", Cut(1, made.first, made.first, "", "standard", "closed").encode()


def draining() -> Seeds:
    run = recorded(0.7)
    behind = run[2].end_offset
    later = [
        replace(one, run_start_ms=START_MS + 2000, first_offset=one.first_offset + behind) for one in run
    ]
    yield "run", fields.join(map(chunk_of, run[:5]))
    yield "two-runs", fields.join(map(chunk_of, [*run[:3], *later[:2]]))
    yield "opened-twice", fields.join([b"", chunk_of(run[0]), b"", chunk_of(later[0]), b""])


def entry_id() -> Seeds:
    yield "entry", f"{EPOCH}-32000".encode()
    yield "zero", b"0-0"
    yield "conversation", f"auth0@x/{CONVERSATION}".encode()


def conversation_state() -> Seeds:
    values: dict[str, bytes | None] = dict.fromkeys(STATE_FIELDS)
    yield "missing", fields.join(values.values())
    values |= {
        "owner": b"5f7c8ec7c33c6c004bbafe82", "newest": f"{EPOCH}-96000".encode(), "format": b"pcm16:16000:1:312",
        "settled": f"{EPOCH}-32000".encode(), "preroll": preroll().encode(), "pos": str(Position(START_MS, 144_000, (Lag(17), Lag(None)))).encode(),
        "in": b"144000", "out": b"48000", "dead": b"0", "last_ms": str(START_MS).encode(),
    }  # fmt: skip
    yield "recording", fields.join(values.values())
    values |= {
        "cut": next(cut())[1], "flush": f"{EPOCH}-96000".encode(), "flush_reason": b"finalize", "merging": b"c-2",
        "closed": str(EPOCH).encode(),
    }  # fmt: skip
    yield "every-field", fields.join(values.values())


def position() -> Seeds:
    yield "plain", str(Position(START_MS, 144_000)).encode()
    yield "lag", str(Position(START_MS, 144_000, (Lag(-312 * 48_000),))).encode()
    yield "two", str(Position(START_MS, 0, (Lag(0, b"\x0f"), Lag(None)))).encode()


def object_name() -> Seeds:
    folder = f"chunks/auth0@x.y/{CONVERSATION}/"
    yield "plain", f"{folder}1732147200.000-1732147260.000.batch.bin".encode()
    yield "sealed", f"{folder}1732147200.000-1732147260.001.batch.enc".encode()
    yield "folder", folder.encode()
    yield "user", b"auth0@x.y"
    for kind in ("bin", "enc", "opus", "opus.enc", "batch.bin", "batch.enc"):
        yield f"older-{kind}", f"{folder}1700000000.000.{kind}".encode()


def client_text() -> Seeds:
    for name, message in {
        "mark": {"type": "mark", "at_ms": START_MS},
        "conversation": {"type": "conversation", "conversation_id": CONVERSATION},
        "finalize": {"type": "finalize"},
        "keepalive": {"type": "keepalive"},
        "close": {"type": "close"},
        "auth": {"type": "auth", "token": "eyJhbGciOiJFUzI1NiJ9.e30.c2ln"},
        "more": {"type": "later", "with": [1.5e3, None, True, {"deep": ["é", "\ud83d\ude00"]}]},
    }.items():
        yield name, json.dumps(message).encode()


def http_query_texts() -> Seeds:
    token = write_page_token("/v1/list", {"state": "x"}, http_query.Place(START_MS, CONVERSATION)).encode()
    for name, header, moment in (
        ("first", b"bytes=0-99", b"2026-11-21T01:28:50.250Z"),
        ("rest", b"bytes=100-", b"1795224530.250"),
        ("last", b"bytes=-100", b"2026-11-21 01:28:50+02:00"),
        ("leap", b"bytes=0-0", b"2016-12-31T23:59:60Z"),
    ):
        yield name, fields.join((header, token, moment))


def key_ring() -> Seeds:
    one, two = (
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=",
    )
    yield "two", f"k2:{two},k1:{one}".encode()
    yield "lines", f" 2026-11:{two} ,\n 2026-10:{one}\n".encode()
    yield "one", f"k:{one}".encode()


def recording() -> Seeds:
    pcm, packets = speech(0.1), [packet for span in recorded(0.2) for packet in span.packets]
    pause, mark, flush, back = (5, b"\xf4\x01"), (4, (60_500).to_bytes(4, "little")), (6, b""), (7, b"")
    halves = [(0, pcm[:1601]), (0, pcm[1601:])]
    frames = adts_messages(16_000, "mono")[2:5]
    pair = [(0, bytes((1 + number % 2,)) + packet) for number, packet in enumerate(packets[:8])]
    for name, settings, sent in (
        ("pcm16", (1, 2, 0, 0), [mark, *halves, pause, mark, *halves]),
        (
            "pcm8-plain",
            (0, 0, 0, 1),
            [(0, pcm[:800]), (5, (3900).to_bytes(2, "little")), (0, pcm[:800]), pause, flush],
        ),
        (
            "pcm16-44100-two",
            (1, 5, 1, 0),
            [(0, b"\1" + pcm[:999]), (0, b"\2" + pcm[:500]), pause, (0, b"\1" + pcm[:801])],
        ),
        (
            "opus",
            (2, 2, 0, 0),
            [mark, *((0, packet) for packet in packets[:6]), flush, back, (0, packets[6])],
        ),
        ("opus-two", (2, 7, 1, 0), [*pair[:5], pause, *pair[5:], back, *pair]),
        ("aac", (4, 2, 0, 0), [*((0, frame) for frame in frames), back, (0, frames[0]), flush]),
    ):
        yield name, bytes(settings) + events.join(sent)


def session() -> Seeds:
    pcm, packets = speech(0.1), [packet for span in recorded(0.2) for packet in span.packets]
    answer, away, lost, leave = (7, b""), (9, bytes(4)), (9, b"\0\1\0\0"), (11, b"\1\0\0\0")
    second, hour = (6, (1500).to_bytes(4, "little")), (6, (19_000).to_bytes(4, "little"))

    def say(**message: object) -> events.Event:
        return 3, json.dumps(message).encode()

    finalize, close = say(type="finalize"), say(type="close")
    switch, mark = say(type="conversation", conversation_id="c-1"), say(type="mark", at_ms=START_MS)
    for name, settings, sent in (
        (
            "pcm16",
            (1, 0, 0, 0),
            [answer, mark, (0, pcm), second, answer, answer, answer, finalize, answer, close],
        ),
        ("plain", (1, 0, 1, 0), [(0, pcm[:999]), answer, second, answer, lost, second, answer, leave]),
        (
            "opus-resumed",
            (2, 0, 0, 1),
            [answer, *((0, packet) for packet in packets), second, away, second, answer],
        ),
        (
            "switched",
            (2, 0, 0, 0),
            [answer, (0, packets[0]), switch, answer, answer, answer, (0, packets[1]), hour],
        ),
        (
            "two",
            (1, 1, 0, 0),
            [answer, (0, b"\1" + pcm[:800]), (0, b"\2" + pcm[:800]), second, answer, answer],
        ),
    ):
        yield name, bytes(settings) + events.join(sent)
