"""Makes the seeds anew from real encodes: `python -m tapedeck_fuzz.make_seeds [TARGET…]`.

Owns what each target begins with: whole, right inputs of a few KB at most, every one of which its parser takes. The bytes of
packets depend on the libopus that is found, so a new run makes other files; nothing relies on which.
"""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from audiobus import Chunk, Cut, Lag, Position
from audiobus.cut import Stored
from audiobus.state import STATE_FIELDS, PreRoll
from audiocodec import OggOpusWriter, OpusHead, OpusTags, Span, read_ogg_headers
from audiocodec.packet import packet_facts
from audiocodec.wav import wav_header
from audiostore.batch import write_batch
from audiostore.facts import batch_facts, head_and_tags, metadata
from storage_api.page_tokens import write_page_token
from tapedeck_fuzz import adts_by_hand, events, fields, records_by_hand, sealed_by_hand, wav_by_hand
from tapedeck_fuzz.recordings import CONVERSATION, EPOCH, START_MS, adts_messages, batches, recorded, speech
from tapedeck_fuzz.target import SEEDS, target_names
from tapedeck_fuzz.targets import http_query, older_object, sealed_file

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


def packet() -> Seeds:
    for number, span in enumerate(recorded(0.2)):
        yield f"voip-{number}", span.packets[-1]
    yield "stereo", recorded(0.1, 2)[0].packets[2]
    frame = recorded(0.1)[0].packets[1]
    toc, body = frame[0], frame[1:]
    yield "dtx", bytes((toc,))
    yield "two-equal", bytes((toc | 1,)) + body * 2
    yield "two-told", bytes((toc | 2, len(body))) + body * 2
    yield "three-told", bytes((toc | 3, 0x83, len(body), len(body))) + body * 3
    yield "padded", bytes((toc | 3, 0x42, 9)) + body * 2 + bytes(9)
    yield "celt-2.5-ms", b"\xe0\xff\xfe"
    yield "forty-eight", b"\xe3\x30" + bytes(48)


def ogg() -> Seeds:
    for name, made in batches().items():
        yield name, write_batch(made)
    writer = OggOpusWriter(OpusHead(1, 312, 16_000), OpusTags("tapedeck", [("TITLE", "Grüße")]), 7)
    own = recorded(0.2)
    pages = [
        writer.start(),
        *(writer.packet(one, packet_facts(one).samples) for span in own for one in span.packets),
    ]
    yield "plain", b"".join([*pages, writer.finish(own[-1].trim)])


def ogg_tags() -> Seeds:
    for name in ("whole", "two-runs"):
        data = write_batch(batches()[name])
        at = data.index(b"OpusTags")
        yield name, data[at : data.index(b"OggS", at)]
    yield "head", OpusHead(2, 15_360, 48_000).encode()
    yield "empty", OpusTags("").encode()
    yield "padded", OpusTags("libopus 1.6.1", [("ENCODER", "opusenc"), ("encoder", "")]).encode() + bytes(16)


def batch_facts_lines() -> Seeds:
    for name, made in batches().items():
        data = write_batch(made)
        facts = batch_facts(read_ogg_headers(data))
        head, tags = head_and_tags(facts)
        lines = [
            f"channels={head.channels}", f"pre-skip={head.pre_skip}", f"sample-rate={head.input_sample_rate}",
            *(f"{key}={value}" for key, value in tags.comments),
        ]  # fmt: skip
        yield name, "\n".join(lines).encode()
        texts = {key.removeprefix("tapedeck-"): value for key, value in metadata(facts, data).items()}
        yield f"{name}-metadata", "\n".join(f"{key}={value}" for key, value in texts.items()).encode()


def batch_file() -> Seeds:
    for name, made in batches().items():
        yield name, write_batch(made)


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


def sealed_file_records() -> Seeds:
    size = sealed_file.RECORD_BYTES
    file_id = bytes(range(16))
    text = bytes(range(256))
    for name, key_id, plain in (
        ("empty", "k2", b""),
        ("short", "k2", text[:20]),
        ("full", "k1", text[:size]),
        ("one-more", "k1", text[: size + 1]),
        ("many", "k2", text),
    ):
        pieces = [plain[at : at + size] for at in range(0, len(plain), size)] or [b""]
        records = tuple(
            sealed_by_hand.Record(piece, number, number == len(pieces) - 1)
            for number, piece in enumerate(pieces)
        )
        yield name, sealed_by_hand.join(sealed_by_hand.File(key_id, file_id, records))


def sealed_head_plain() -> Seeds:
    for name, made in batches().items():
        at_start = replace(made, spans=made.spans if made.spans[0].first_sample == 0 else ())
        if at_start.spans:
            yield name, write_batch(at_start)[:3000]


def older_blob() -> Seeds:
    whole = [packet for span in recorded(0.3) for packet in span.packets]
    yield "whole", records_by_hand.blob(whole, 9_600)
    yield "one", records_by_hand.blob(whole[:1], 640)
    yield "odd", records_by_hand.blob(whole[:3], 1_921 - 640)
    yield "silence", records_by_hand.blob([bytes((whole[0][0],)), b"\xe3\x30" + bytes(48)], 4_480)


def older_records() -> Seeds:
    pcm = speech(0.02)
    yield "one", records_by_hand.join([pcm])
    yield "three", records_by_hand.join([pcm[:200], pcm[200:201], pcm[201:]])
    yield "empty", records_by_hand.join([b"", pcm[:99]])


def older_objects() -> Seeds:
    pcm = speech(0.02)
    blob = next(older_blob())[1]
    for kind, body in {
        "bin": pcm,
        "enc": records_by_hand.join([pcm[:320], pcm[320:]]),
        "opus": blob,
        "opus.enc": records_by_hand.join([blob[:50], blob[50:]]),
        "batch.bin": pcm + b"\1",
        "batch.enc": records_by_hand.join([pcm, pcm[:101]]),
    }.items():
        yield kind, fields.join((f"{older_object.FOLDER}1700000000.000.{kind}".encode(), body))
    batch = f"{older_object.FOLDER}1700000000.000-1700000005.000.batch.bin".encode()
    yield "two-times", fields.join((batch, pcm))


def adts() -> Seeds:
    mono, stereo = adts_messages(16_000, "mono"), adts_messages(44_100, "stereo")
    yield "mono", mono[2]
    yield "stereo", stereo[3]
    yield "three", b"".join(mono[2:5])
    (frame,) = adts_by_hand.split(mono[3])
    body = frame.body
    two = b"".join(
        (len(body) + 2).to_bytes(2, "big") if at == 0 else part
        for at, part in enumerate((b"", b"\0\0", body, b"\0\0", body, b"\0\0"))
    )
    yield (
        "two-blocks",
        adts_by_hand.join([replace(frame, unprotected=0, blocks_less_one=1, body=two, length=7 + len(two))]),
    )


def aac() -> Seeds:
    for rate, layout in ((16_000, "mono"), (24_000, "stereo"), (44_100, "mono"), (8_000, "mono")):
        yield f"{layout}-{rate}", fields.join(adts_messages(rate, layout)[2:5])


def wav() -> Seeds:
    pcm = speech(0.02)
    sound = wav_by_hand.Chunk(b"data", pcm)
    for name, form, more in (
        ("mono", wav_by_hand.form(16_000, 1, 16), []),
        ("stereo", wav_by_hand.form(44_100, 2, 16), [wav_by_hand.Chunk(b"LIST", b"INFO")]),
        (
            "extensible",
            wav_by_hand.form(48_000, 2, 16, extensible=True),
            [wav_by_hand.Chunk(b"fact", bytes(5))],
        ),
    ):
        yield name, wav_by_hand.join([wav_by_hand.Chunk(b"fmt ", form), *more, sound])
    yield (
        "rf64",
        wav_by_hand.join([wav_by_hand.Chunk(b"fmt ", wav_by_hand.form(16_000, 1, 16)), sound], rf64=True),
    )
    yield "empty", wav_header(8_000, 1, 0)


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


MAKERS: dict[str, Callable[[], Seeds]] = {
    "aac": aac,
    "adts": adts,
    "batch_facts": batch_facts_lines,
    "batch_file": batch_file,
    "chunk": chunk,
    "client_text": client_text,
    "conversation_state": conversation_state,
    "cut": cut,
    "draining": draining,
    "entry_id": entry_id,
    "http_query": http_query_texts,
    "key_ring": key_ring,
    "object_name": object_name,
    "older_blob": older_blob,
    "older_object": older_objects,
    "older_records": older_records,
    "ogg": ogg,
    "ogg_tags": ogg_tags,
    "packet": packet,
    "position": position,
    "recording": recording,
    "sealed_file": sealed_file_records,
    "sealed_head": sealed_head_plain,
    "wav": wav,
}


def write(name: str) -> list[Path]:
    """The seeds of one target, in place of those it had."""
    folder = SEEDS / name
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    written = []
    for seed, data in MAKERS[name]():
        written.append(folder / seed)
        written[-1].write_bytes(data)
    return written


if __name__ == "__main__":
    for name in sys.argv[1:] or target_names():
        print(name, *(f"{path.name}:{path.stat().st_size}" for path in write(name)))  # noqa: T201 - a command prints
