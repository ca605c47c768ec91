"""Inputs of a few bytes that claim to hold a lot: refused, and nothing is made room for before that."""

import struct
import tracemalloc

import pytest

from tapedeck_fuzz import fields, ogg_by_hand, wav_by_hand
from tapedeck_fuzz.target import load_target

ROOM_BYTES = 256 << 10
MOST = 0xFFFF_FFFF
HEAD = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 312, 16_000, 0, 0)


def page(body, number, flags=0):
    lacing = b"\xff" * (len(body) // 255) + bytes((len(body) % 255,))
    return ogg_by_hand.Page(flags, 0, 7, number, lacing, body)


def tagged(tags):
    return ogg_by_hand.join([page(HEAD, 0, ogg_by_hand.FIRST), page(tags, 1)])


VENDOR = b"OpusTags" + struct.pack("<I", 0)
FORM = wav_by_hand.Chunk(b"fmt ", wav_by_hand.form(16_000, 1, 16))
DEEP_LIST = b"\x91" * 4000 + b"\xc0"
STATE = 15

CLAIMS = {
    "ogg_tags": {
        "a vendor of 4 GiB": b"OpusTags" + struct.pack("<I", MOST),
        "4 G comments": VENDOR + struct.pack("<I", MOST),
        "a comment of 4 GiB": VENDOR + struct.pack("<II", 1, MOST) + b"A=b",
        "1,024 comments of no bytes": VENDOR + struct.pack("<I", 1024) + bytes(4096),
    },
    "ogg": {
        "tags with 4 G comments": tagged(VENDOR + struct.pack("<I", MOST)),
        "a page of 64 KiB that is not there": b"OggS" + bytes(22) + b"\xff" + b"\xff" * 255,
    },
    "batch_file": {"tags with 4 G comments": tagged(VENDOR + struct.pack("<I", MOST))},
    "chunk": {
        "a text of 4 GiB": b"\x9d\x01\x01\xdb\xff\xff\xff\xff",
        "4 G packets": b"\x9d\x01\x01\xa4opus\xcd\x3e\x80\x01\x00\x00\x00\x00\x00\xc2\x00\xdd\xff\xff\xff\xff",
        "a packet of 4 GiB": b"\x9d\x01\x01\xa4opus\xcd\x3e\x80\x01\x00\x00\x00\x00\x00\xc2\x00\x91\xc6\xff\xff\xff\xff",
        "lists within lists": b"\x9d\x01\x01" + DEEP_LIST,
    },
    "cut": {
        "a name of 4 GiB": b"\x97\x01\xa31-0\xa31-1\xdb\xff\xff\xff\xff",
        "4 G exclusions": b"\x97\x01\xa31-0\xa31-1\xa0\xa0\xa0\xdd\xff\xff\xff\xff",
        "lists within lists": b"\x97\x01\xa31-0\xa31-1\xa0\xa0\xa0\x91\x94\x01\x02\x03" + DEEP_LIST,
    },
    "conversation_state": {
        "a pre-roll of 4 G packets": fields.join([*[None] * 5, b"\x95\x01\x02\x03\x04\xdd\xff\xff\xff\xff", *[None] * 9]),
        "a pre-roll of lists within lists": fields.join([*[None] * 5, b"\x96\x01\x02\x03\x04\x90" + DEEP_LIST, *[None] * 9]),
        "a count of 5,000 digits": fields.join([*[None] * 7, b"9" * 5000, *[None] * 7]),
        "an id of 5,000 digits": fields.join([None, b"9" * 5000 + b"-1", *[None] * 13]),
    },
    "position": {"a run of 5,000 digits": b"9" * 5000 + b":1"},
    "entry_id": {"an id of 5,000 digits": b"9" * 5000 + b"-1"},
    "client_text": {
        "lists within lists": b"[" * 30_000,
        "a time of 20,000 digits": b'{"type":"mark","at_ms":' + b"9" * 20_000 + b"}",
        "more than a message may have": b'{"type":"' + b"x" * 70_000 + b'"}',
    },
    "key_ring": {"70,000 entries": b"," * 70_000, "a key of 60,000 characters": b"k:" + b"A" * 60_000},
    "sealed_file": {
        "a record of 4 GiB": b"TDSEAL01\x02k2" + bytes(16) + struct.pack(">I", MOST) + bytes(64),
        "a key id of 255 bytes": b"TDSEAL01\xff" + b"k" * 255 + bytes(64),
    },
    "older_blob": {
        "4 G packets": struct.pack("<II", MOST, 640) + bytes(64),
        "4 GiB of PCM": struct.pack("<II", 1, MOST) + b"\x03\x00\xf8\xff\xfe",
        "packets that bytes cannot hold": struct.pack("<II", 131_072, 640) + bytes(64),
    },
    "older_records": {"a record of 4 GiB": struct.pack(">I", MOST) + bytes(64)},
    "packet": {"padding without end": b"\xfb\x41" + b"\xff" * 60_000, "more than a packet may have": bytes(70_000)},
    "adts": {"more than a message may have": b"\xff\xf1\x60\x40" * 20_000},
    "wav": {
        "4 GiB of samples": wav_by_hand.join([FORM, wav_by_hand.Chunk(b"data", b"", MOST - 1)], told=MOST - 1),
        "a form of 4 GiB": wav_by_hand.join([wav_by_hand.Chunk(b"fmt ", b"", MOST - 1)], told=MOST - 1),
        "a table of 4 G sizes": b"RF64\xff\xff\xff\xffWAVEds64" + struct.pack("<IQQQI", MOST, 1 << 63, 1 << 63, 0, MOST),
        "chunks without end": b"RIFF\xff\xff\xff\x7fWAVE" + b"JUNK\0\0\0\0" * 8000,
    },
    "object_name": {"70,000 folders": b"chunks" + b"/" * 70_000, "digits without end": b"chunks/u/c/" + b"1" * 70_000 + b".000.bin"},
}  # fmt: skip

LEFT_OUT = {("conversation_state", "a pre-roll of 4 G packets"), ("conversation_state", "a pre-roll of lists within lists")}  # fmt: skip
"""Only a seam depends on them: the rest is taken without them."""


@pytest.mark.parametrize(
    ("name", "what"), [(name, what) for name, claims in CLAIMS.items() for what in claims]
)
def test_a_claim_is_refused_before_it_is_believed(name, what):
    target, data = load_target(name), CLAIMS[name][what]
    target.examine(data)  # what is loaded and kept once is not the input's
    tracemalloc.start()
    try:
        taken = target.examine(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken is ((name, what) in LEFT_OUT)
    assert peak <= ROOM_BYTES + 8 * len(data)
