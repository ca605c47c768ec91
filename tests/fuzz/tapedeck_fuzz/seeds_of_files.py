"""Seeds of what is audio, or holds it: packets, files and objects, ours and older, sealed or not.

Each function gives the seeds of one target: a name and the bytes.
"""

from collections.abc import Iterator
from dataclasses import replace

from audiocodec import OggOpusWriter, OpusHead, OpusTags, read_ogg_headers
from audiocodec.packet import packet_facts
from audiocodec.wav import wav_header
from audiostore.batch import batch_file as batch_file_of
from audiostore.batch import write_batch
from audiostore.facts import batch_facts, head_and_tags, metadata
from tapedeck_fuzz import adts_by_hand, fields, records_by_hand, sealed_by_hand, wav_by_hand
from tapedeck_fuzz.recordings import CONVERSATION, adts_messages, batches, recorded, speech
from tapedeck_fuzz.targets import older_object, sealed_file

Seeds = Iterator[tuple[str, bytes]]


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


def stored_object() -> Seeds:
    folder = f"chunks/{sealed_by_hand.UID}/{CONVERSATION}/1732147200.000"
    for name in ("whole", "two-runs"):
        plain = batch_file_of(batches()[name])
        told = "\n".join(f"{key}={value}" for key, value in plain.metadata.items()).encode()
        sealed = sealed_by_hand.whole(sealed_by_hand.File("k2", bytes(16), ()), plain.data, 65_536)
        yield f"{name}-plain", fields.join((f"{folder}-1732147201.000.batch.bin".encode(), b"", plain.data))
        yield f"{name}-told", fields.join((f"{folder}-1732147201.000.batch.bin".encode(), told, plain.data))
        yield f"{name}-sealed", fields.join((f"{folder}-1732147201.000.batch.enc".encode(), b"", sealed))
        yield (
            f"{name}-sealed-told",
            fields.join((f"{folder}-1732147201.000.batch.enc".encode(), told, sealed)),
        )
    for kind, data in older_objects():
        path, body = fields.split(data, 2)
        yield f"older-{kind}", fields.join((path, b"", body))


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
