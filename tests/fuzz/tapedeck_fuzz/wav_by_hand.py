"""RIFF chunks taken apart and put together again, sizes right or told wrong on purpose; RF64 (EBU Tech 3306) too."""

import struct
from dataclasses import dataclass, replace
from random import Random

from tapedeck_fuzz import edits
from tapedeck_fuzz.target import Raw

_LIMIT = 0xFFFF_FFFF


@dataclass(frozen=True)
class Chunk:
    """A chunk as it lies there."""

    name: bytes
    body: bytes
    told: int | None = None
    """The size that is written before it, where that is not the true one."""


def split(data: bytes) -> list[Chunk]:
    """The chunks behind the first twelve bytes, as far as they go; ds64 is left out."""
    chunks = []
    at = 12
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        size = min(size, len(data) - at - 8)
        if name != b"ds64":
            chunks.append(Chunk(name, data[at + 8 : at + 8 + size]))
        at += 8 + size + size % 2
    return chunks


def join(chunks: list[Chunk], *, rf64: bool = False, table: bytes = b"", told: int | None = None) -> bytes:
    """The file of these chunks. In RF64 the sizes of data and file stand in ds64; `told` is a wrong size of the file."""
    parts = []
    for chunk in chunks:
        size = len(chunk.body) if chunk.told is None else chunk.told
        if rf64 and chunk.name == b"data":
            size = _LIMIT
        parts.append(
            struct.pack("<4sI", chunk.name, size & _LIMIT) + chunk.body + b"\0" * (len(chunk.body) % 2)
        )
    body = b"".join(parts)
    if not rf64:
        size = 4 + len(body) if told is None else told
        return struct.pack("<4sI4s", b"RIFF", size & _LIMIT, b"WAVE") + body
    samples = sum(len(chunk.body) for chunk in chunks if chunk.name == b"data")
    size = 4 + 36 + len(table) + len(body) if told is None else told
    ds64 = struct.pack(
        "<4sIQQQI", b"ds64", 28 + len(table), size % 2**64, samples, samples // 2, len(table) // 12
    )
    return struct.pack("<4sI4s", b"RF64", _LIMIT, b"WAVE") + ds64 + table + body


def form(rate: int, channels: int, bits: int, *, extensible: bool = False) -> bytes:
    """The body of a `fmt ` chunk of PCM."""
    block = channels * bits // 8
    fields = (channels & 0xFFFF, rate & _LIMIT, rate * block & _LIMIT, block & 0xFFFF, bits & 0xFFFF)
    if not extensible:
        return struct.pack("<HHIIHH", 1, *fields)
    guid = bytes.fromhex("0100000000001000800000aa00389b71")
    return struct.pack("<HHIIHH", 0xFFFE, *fields) + struct.pack("<HHI16s", 22, bits & 0xFFFF, 3, guid)


def mutate(data: bytes, random: Random, raw: Raw) -> bytes:
    """A chunk, a size or the form changed; what follows from it right again, mostly."""
    chunks = split(data)
    if not chunks:
        return raw(data)
    rf64 = data[:4] == b"RF64" if random.randrange(6) else bool(random.randrange(2))
    at = random.randrange(len(chunks))
    table, told = b"", None
    match random.randrange(9):
        case 0:
            chunks = edits.items(chunks, random)
        case 1:
            chunks[at] = replace(chunks[at], told=edits.number(len(chunks[at].body), random))
        case 2:
            chunks.insert(
                at,
                Chunk(
                    random.choice((b"LIST", b"fact", b"JUNK", b"fmt ", b"data")),
                    random.randbytes(random.randrange(9)),
                ),
            )
        case 3:
            told = edits.number(len(data) - 8, random)
        case 4:
            table = b"".join(
                struct.pack(
                    "<4sQ", random.choice((b"LIST", b"data", b"fmt ")), random.choice(edits.EDGES) % 2**64
                )
                for _ in range(random.choice((1, 3, 300)))
            )
            rf64 = True
        case 5:
            body = form(
                random.choice((8_000, 44_100, 0, 2**31 - 1, 2**31)), random.choice((1, 2, 6, 0, 255, 256)),
                random.choice((8, 16, 24, 32, 0, 12)), extensible=bool(random.randrange(2)),
            )  # fmt: skip
            chunks = [Chunk(b"fmt ", body) if chunk.name == b"fmt " else chunk for chunk in chunks]
        case 6:
            chunks = [*chunks[:at], *[Chunk(b"JUNK", b"")] * random.choice((2, 255, 256)), *chunks[at:]]
        case _:
            chunks[at] = replace(chunks[at], body=raw(chunks[at].body))
    return join(chunks, rf64=rf64, table=table, told=told)
