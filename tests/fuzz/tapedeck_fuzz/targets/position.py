"""`audiobus.position.Position.parse_or_none`: where a session's audio ends, in `td:conv`."""

from random import Random

from audiobus.position import Position
from tapedeck_fuzz import edits
from tapedeck_fuzz.target import Raw, Target, demand


def check(data: bytes) -> int | None:
    """Taken: it is written exactly as it was read."""
    try:
        position = Position.parse_or_none(data)
    except ValueError:
        return None
    if position is None:
        demand(not data, "no position in what is not empty")
        return None
    demand(str(position).encode() == data, "a position that is written in another way than it was read")
    demand(len(position.lags) <= 2, f"{len(position.lags)} channels")
    demand(all(len(lag.odd) <= 1 for lag in position.lags), "more than a byte of a broken sample")
    return len(data)


def mutate(data: bytes, random: Random, _: Raw) -> bytes:
    """A number in it changed, or a few characters."""
    return edits.numbers_in(data.decode("utf-8", "replace"), random).encode("utf-8", "replace")


TARGET = Target(check, mutate, max_bytes=200, words=(b"1732147200123:960", b"*", b".0f", b",", b":", b"-"))
