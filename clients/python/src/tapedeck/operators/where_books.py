"""What the books of a conversation say of its stretches: whether the bucket holds what is stored, and whether what is missing was deleted. Pure."""

from collections.abc import Sequence

import msgspec

from tapedeck.operators.spans import length
from tapedeck.operators.whereabouts import ROUNDING_MS, Piece, Stretch


class Seconds(msgspec.Struct, frozen=True):
    """The books of the conversation, in seconds of audio."""

    received: float
    stored: float
    waiting: float
    dead: float
    deleted: float
    difference: float
    """0, unless something is wrong."""


def held_less(pieces: Sequence[Piece], books: Seconds | None) -> list[str]:
    """Says so where the buckets hold less than the books say is stored. What they held before Redis knew the conversation hides that."""
    held = [(one.start_ms, one.end_ms) for one in pieces if one.state == "stored"]
    if books is None or _all_is_there(held, books):
        return []
    less = f"by the books {length(books.stored)} are stored, and the bucket holds {length(_sum(held))}"
    return [
        f"{less}: objects are gone from it that Tapedeck did not delete, or the services have another bucket, or a second one"
    ]


def deleted_by_the_books(stretches: Sequence[Stretch], books: Seconds | None) -> list[Stretch]:
    """The stretches; what is missing is deleted where it can be nothing else.

    That is so where the books close, all that they call stored is there, and they call as much deleted as is missing: a dead letter
    that was dropped, or what was deleted so long ago that its objects' names are not known any more.
    """
    missing = [one for one in stretches if one.state == "missing"]
    held = [(one.start_ms, one.end_ms) for one in stretches if one.state == "stored"]
    if books is None or books.difference or not _all_is_there(held, books):
        return list(stretches)
    seconds = sum(one.seconds for one in missing)
    unknown = any(not one.seconds for one in missing)
    if unknown or seconds > books.deleted + _rounding(len(missing)):
        return list(stretches)
    return [
        msgspec.structs.replace(one, state="deleted", why="deleted, as the books have it")
        if one.state == "missing"
        else one
        for one in stretches
    ]


def _all_is_there(held: Sequence[tuple[int, int]], books: Seconds) -> bool:
    return _sum(held) >= books.stored - _rounding(len(held))


def _sum(held: Sequence[tuple[int, int]]) -> float:
    return sum(end_ms - start_ms for start_ms, end_ms in held) / 1000


def _rounding(count: int) -> float:
    """Seconds that so many stretches may be off together."""
    return ROUNDING_MS * (count + 1) / 1000
