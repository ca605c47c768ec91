"""Small changes to bytes, texts and numbers, for mutators.

Pure: everything random comes from the `Random` that is given, so a change can be repeated.
"""

import re
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")

EDGES = (0, 1, 2, 119, 120, 127, 128, 255, 256, 312, 959, 960, 961, 5760, 5761, 32767, 32768, 65535, 65536,
         2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1, -1, -(2**63))  # fmt: skip
"""Numbers at which something is likely to end."""

_NUMBER = re.compile(r"[0-9]+")


def raw(data: bytes, random: Random) -> bytes:
    """One change that knows nothing: bytes set, cut out, put in, doubled or swapped."""
    out = bytearray(data)
    at = random.randrange(len(out) + 1)
    size = random.choice((1, 1, 1, 2, 4, 8, 32))
    match random.randrange(6):
        case 0:
            out[at : at + size] = random.randbytes(size)
        case 1:
            del out[at : at + size]
        case 2:
            out[at:at] = random.randbytes(size)
        case 3:
            out[at:at] = out[at : at + size]
        case 4:
            out[at : at + 1] = bytes((random.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF)),))
        case _:
            other = random.randrange(len(out) + 1)
            out[at : at + size], out[other : other + size] = out[other : other + size], out[at : at + size]
    return bytes(out)


def number(value: int, random: Random) -> int:
    """A number near this one, or at some edge."""
    match random.randrange(4):
        case 0:
            return random.choice(EDGES)
        case 1:
            return value ^ 1 << random.randrange(64)
        case _:
            return value + random.choice((-960, -120, -48, -2, -1, 1, 2, 48, 120, 960))


def numbers_in(text: str, random: Random) -> str:
    """The text with one of the numbers that stand in it changed; some other change where there is none."""
    found = list(_NUMBER.finditer(text))
    if not found or random.randrange(8) == 0:
        return characters(text, random)
    match = random.choice(found)
    changed = str(number(int(match[0][:40]), random))
    if random.randrange(8) == 0:
        changed = random.choice(
            ("", "0" + match[0], match[0] * 300, "٣", "²", "1_0", "+1", " 1", "1e3", "1.0")
        )
    return text[: match.start()] + changed + text[match.end() :]


def characters(text: str, random: Random) -> str:
    """The text with a few characters put in, cut out, or doubled."""
    at = random.randrange(len(text) + 1)
    size = random.choice((1, 1, 2, 5, 20))
    match random.randrange(3):
        case 0:
            return text[:at] + text[at + size :]
        case 1:
            return text[: at + size] + text[at:]
        case _:
            new = random.choice(
                ("\0", "\n", " ", ";", "/", ":", "-", ".", "=", ",", "é", "\U0001f600", "９", "\x7f")
            )
            return text[:at] + new + text[at + random.randrange(2) :]


def items(values: list[T], random: Random) -> list[T]:
    """The list with items left out, doubled, swapped or cut off."""
    out = list(values)
    if not out:
        return out
    at, other = random.randrange(len(out)), random.randrange(len(out))
    match random.randrange(4):
        case 0:
            del out[at]
        case 1:
            out.insert(other, out[at])
        case 2:
            out[at], out[other] = out[other], out[at]
        case _:
            del out[at:]
    return out


def value(thing: Any, random: Random, depth: int = 0) -> Any:  # noqa: PLR0911 - one for each kind of thing
    """What msgpack or JSON holds, changed somewhere: a number, a text, bytes, a list or what is in one."""
    if random.randrange(24) == 0:
        return random.choice((None, True, 1.5, "", b"", [], {}, 0, -1, "x", b"x", nested(random)))
    match thing:
        case bool():
            return not thing
        case int():
            return number(thing, random)
        case str():
            return numbers_in(thing, random)
        case bytes():
            return raw(thing, random)
        case list() if thing and depth < 8 and random.randrange(6):
            at = random.randrange(len(thing))
            return [*thing[:at], value(thing[at], random, depth + 1), *thing[at + 1 :]]
        case list():
            return items(thing, random)
        case dict() if thing and depth < 8:
            key = random.choice(list(thing))
            if random.randrange(5) == 0:
                return {other: kept for other, kept in thing.items() if other != key}
            return thing | {key: value(thing[key], random, depth + 1)}
        case _:
            return random.choice((None, 0, "", b"", [], {}))


def nested(random: Random) -> list[Any]:
    """Lists in lists, now and then so deep that a parser which calls itself runs out of stack."""
    out: list[Any] = []
    for _ in range(random.choice((1, 3, 30, 300))):
        out = [out]
    return out
