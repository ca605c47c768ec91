"""Changing msgpack from inside: what is in it taken apart, one thing changed, and packed again."""

from random import Random

import msgspec

from tapedeck_fuzz import edits
from tapedeck_fuzz.target import Raw

_DEEP = (b"\x91" * 1500 + b"\xc0", b"\x81\xc0" * 1500 + b"\xc0")
"""Lists in lists, maps in maps: more than the stack of a parser that calls itself may hold."""


def mutate(data: bytes, random: Random, raw: Raw) -> bytes:
    """The same structure with one thing in it changed; any other change where it is none, or now and then."""
    kind = random.randrange(32)
    if kind == 0:
        at = random.randrange(len(data) + 1)
        return data[:at] + random.choice(_DEEP) + data[at:]
    try:
        thing = msgspec.msgpack.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return raw(data)
    if kind == 1 and isinstance(thing, list):
        # A longer list, as a later version may write it: what is in its last element must be skipped safely.
        body = b"".join(msgspec.msgpack.encode(item) for item in thing)
        return bytes((0xDC, *(len(thing) + 1).to_bytes(2, "big"))) + body + random.choice(_DEEP)
    try:
        return msgspec.msgpack.encode(edits.value(thing, random))
    except (OverflowError, UnicodeEncodeError, RecursionError):  # a number or a text that msgpack cannot hold
        return raw(data)
