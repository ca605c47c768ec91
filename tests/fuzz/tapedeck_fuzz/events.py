"""One input as a list of events: `u8 kind | u16 le length | bytes`, again and again. Whatever bytes there are make some."""

from collections.abc import Iterable
from random import Random

from tapedeck_fuzz import edits
from tapedeck_fuzz.target import Raw

Event = tuple[int, bytes]


def split(data: bytes, most: int) -> list[Event]:
    """At most so many events; the last one may be cut short."""
    events: list[Event] = []
    at = 0
    while at < len(data) and len(events) < most:
        size = int.from_bytes(data[at + 1 : at + 3], "little")
        events.append((data[at], data[at + 3 : at + 3 + size]))
        at += 3 + size
    return events


def join(events: Iterable[Event]) -> bytes:
    """The input that `split` takes apart into these."""
    return b"".join(bytes((kind & 0xFF,)) + len(body).to_bytes(2, "little") + body for kind, body in events)


def mutate(  # noqa: PLR0911 - one for each kind of change
    events: list[Event], random: Random, raw: Raw, kinds: int
) -> list[Event]:
    """An event left out, doubled, moved, of another kind, cut in two or changed."""
    if not events:
        return [(random.randrange(kinds), b"")]
    at = random.randrange(len(events))
    kind, body = events[at]
    cut = random.randrange(len(body) + 1)
    match random.randrange(6):
        case 0:
            return edits.items(events, random)
        case 1:
            return [*events[:at], (random.randrange(kinds), body), *events[at + 1 :]]
        case 2:
            return [
                *events[:at],
                (random.randrange(kinds), random.randbytes(random.choice((0, 1, 2, 4)))),
                *events[at:],
            ]
        case 3:
            return [*events[:at], (kind, body[:cut]), (kind, body[cut:]), *events[at + 1 :]]
        case 4:
            return [*events[:at], *events[at : at + 4] * random.choice((2, 5)), *events[at:]]
        case _:
            return [*events[:at], (kind, raw(body)[:60_000]), *events[at + 1 :]]
