"""One input for parsers that take several values: each value with its length before it.

`u16 le length | bytes`; a length of 65,535 stands for a missing value. Whatever bytes there are make some fields.
"""

from collections.abc import Iterable
from random import Random

from tapedeck_fuzz import edits
from tapedeck_fuzz.target import Raw

_MISSING = 0xFFFF


def split(data: bytes, count: int) -> list[bytes | None]:
    """`count` values; those that the bytes do not reach are missing, one that is cut short takes what is there."""
    out: list[bytes | None] = []
    at = 0
    for _ in range(count):
        size = int.from_bytes(data[at : at + 2], "little") if at + 2 <= len(data) else _MISSING
        at += 2
        if size == _MISSING:
            out.append(None)
            continue
        out.append(data[at : at + size])
        at += size
    return out


def join(values: Iterable[bytes | None]) -> bytes:
    """The input that `split` takes apart into these."""
    parts = []
    for value in values:
        if value is None:
            parts.append(_MISSING.to_bytes(2, "little"))
        else:
            kept = value[: _MISSING - 1]
            parts += [len(kept).to_bytes(2, "little"), kept]
    return b"".join(parts)


def mutate(data: bytes, random: Random, raw: Raw, count: int) -> bytes:
    """One value changed, lengths right again."""
    values = split(data, count)
    at = random.randrange(count)
    value = values[at]
    if value is None or random.randrange(12) == 0:
        values[at] = random.choice((None, b"", *(other for other in values if other is not None)))
    elif random.randrange(2) and value.isascii():
        values[at] = edits.numbers_in(value.decode(), random).encode("utf-8", "surrogatepass")
    else:
        values[at] = raw(value)
    return join(values)
