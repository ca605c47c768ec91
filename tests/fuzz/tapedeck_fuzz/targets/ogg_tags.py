"""`OpusHead.parse` and `OpusTags.parse`: the two header packets of Ogg Opus, without the pages around them."""

import re
from random import Random

from audiocodec.errors import OggError
from audiocodec.ogg import OpusHead, OpusTags
from tapedeck_fuzz import edits
from tapedeck_fuzz.target import Raw, Target, demand


def check(data: bytes) -> int | None:
    """Taken: written and read again the same; a head is written byte for byte as it came."""
    size = None
    try:
        head = OpusHead.parse(data)
        demand(head.encode() == data, "another head is written than was read")
        size = len(data)
    except OggError as error:
        demand(str(error).startswith("OpusHead"), f"names no structure: {error}")
    try:
        tags = OpusTags.parse(data)
    except OggError as error:
        demand(str(error).startswith("OpusTags"), f"names no structure: {error}")
        return size
    for name, _ in tags.comments:
        demand(
            re.fullmatch(r"[ -<>-}]+", name) is not None,
            f"{name!r} is no name of a comment (Vorbis comment, RFC 7845 §5.2)",
        )
    raw = tags.encode()
    demand(data.startswith(raw), "other bytes are written than were read; only padding may be missing")
    demand(OpusTags.parse(raw) == tags, "written and read again they are other tags")
    demand(
        all(tags.get(name.lower()) is not None for name, _ in tags.comments), "a comment that is not found"
    )
    return len(raw)


def mutate(data: bytes, random: Random, raw: Raw) -> bytes:
    """One comment changed, the lengths right or, now and then, wrong."""
    try:
        tags = OpusTags.parse(data)
    except OggError:
        return raw(data)
    texts = [tags.vendor.encode(), *(f"{name}={value}".encode() for name, value in tags.comments)]
    at = random.randrange(len(texts))
    texts[at] = (
        raw(texts[at]) if random.randrange(2) else edits.numbers_in(texts[at].decode(), random).encode()
    )
    if random.randrange(4) == 0:
        texts[1:] = edits.items(texts[1:], random)
    count = len(texts) - 1 if random.randrange(6) else edits.number(len(texts) - 1, random)
    parts = [b"OpusTags"]
    for number, text in enumerate(texts):
        length = len(text) if random.randrange(20) else edits.number(len(text), random)
        parts += [(length & 0xFFFF_FFFF).to_bytes(4, "little"), text]
        if number == 0:
            parts.append((count & 0xFFFF_FFFF).to_bytes(4, "little"))
    return b"".join(parts)


TARGET = Target(
    check, mutate, words=(b"OpusTags", b"OpusHead\x01\x01", b"TAPEDECK_VERSION=1", b"\xff\xff\xff\xff")
)
