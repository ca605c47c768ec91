"""Where the audio of a conversation is, stretch by stretch. Pure: pieces in, stretches out; its structs are those of `--json`.

Owns what a gap means: nothing was recorded, something was deleted, or bytes that a session sent are nowhere.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import msgspec

from tapedeck.operators.spans import moment

State = Literal["stored", "waiting", "dead", "gap", "deleted", "missing"]

ROUNDING_MS: Final = 2
"""Times in names are rounded down: less than this between two objects is nothing."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some audio, and where it is. Times are unix ms."""

    start_ms: int
    end_ms: int
    state: State
    why: str = ""
    object: str | None = None
    bucket: str | None = None
    epoch: int | None = None
    """Session; None where the object does not say."""
    first_offset: int = 0
    end_offset: int = 0
    """Bytes of the session."""
    endless: bool = False
    """Nothing tells how long it lasts: it goes on from `start_ms` (which is `end_ms` too) to an unknown time."""

    def continued_by(self, other: "Piece") -> bool:
        """Whether both make one stretch."""
        same = (self.state, self.why, self.object, self.bucket, self.epoch)
        return (
            same == (other.state, other.why, other.object, other.bucket, other.epoch)
            and self.end_offset == other.first_offset
            and abs(other.start_ms - self.end_ms) <= ROUNDING_MS
            and not (self.endless or other.endless)
        )


class Stretch(msgspec.Struct, frozen=True):
    """Some time of a conversation."""

    start: str
    """RFC 3339."""
    end: str
    seconds: float
    state: State
    object: str | None
    """The object's name, of what is stored."""
    bucket: str | None
    """`first` or `second`."""
    why: str
    start_ms: int
    end_ms: int
    session: int | None
    """The epoch of the session; None where that is not known."""
    first_offset: int | None
    end_offset: int | None
    """The bytes of the session in it."""
    length_known: bool = True
    """False where nothing tells how long it lasts: `seconds` is 0 then, and up to the next stretch nobody knows what is a gap."""

    def lies_at(self, at_ms: int, next_ms: int | None) -> bool:
        """Whether it lies, or may lie, at that moment; `next_ms`: where the next one starts."""
        end_ms = self.end_ms if self.length_known else next_ms
        return self.start_ms <= at_ms and (end_ms is None or at_ms < end_ms)


def stretches(pieces: Iterable[Piece], deleted: Sequence[Piece] = ()) -> list[Stretch]:
    """The pieces in the order of time, those that go on from one another as one, with the gaps between them.

    Args:
        pieces: in any order. What waits, or is dead, and lies in the bucket already is left out.
        deleted: where objects lay that were deleted.
    """
    found = sorted(_once(list(pieces)), key=lambda one: (one.start_ms, one.end_ms))
    merged: list[Piece] = []
    for one in found:
        if merged and merged[-1].continued_by(one):
            merged[-1] = _joined(merged[-1], one)
        else:
            merged.append(one)
    result: list[Piece] = []
    ends_ms = None
    last: Piece | None = None
    endless = False
    for one in merged:
        if last is not None and ends_ms is not None and one.start_ms - ends_ms > ROUNDING_MS:
            between = _gap(last, one, ends_ms, deleted)
            # What starts last and ends nobody knows when may have filled it.
            result += [gap for gap in between if not endless or gap.state != "gap"]
        endless = one.endless
        result.append(one)
        if ends_ms is None or one.end_ms >= ends_ms:
            ends_ms, last = one.end_ms, one
    result += _outside(result, deleted)
    return [_stretch(one) for one in sorted(result, key=lambda one: (one.start_ms, one.end_ms))]


def _outside(pieces: Sequence[Piece], deleted: Sequence[Piece]) -> list[Piece]:
    """What was deleted before the first piece and after the last one, each time once."""
    starts_ms = min((one.start_ms for one in pieces), default=None)
    ends_ms = max((one.end_ms for one in pieces), default=0)
    found: list[Piece] = []
    for one in sorted(deleted, key=lambda one: (one.start_ms, -one.end_ms)):
        if starts_ms is None:
            parts = [(one.start_ms, one.end_ms)]
        else:
            parts = [(one.start_ms, min(one.end_ms, starts_ms)), (max(one.start_ms, ends_ms), one.end_ms)]
        for start_ms, end_ms in parts:
            # A cut that was given up and made anew leaves two names for the same time.
            from_ms = max([start_ms, *(other.end_ms for other in found if other.start_ms <= start_ms)])
            if end_ms - from_ms > ROUNDING_MS:
                found.append(replace(one, start_ms=from_ms, end_ms=end_ms))
    return found


def _joined(before: Piece, after: Piece) -> Piece:
    """Both as one."""
    return Piece(
        before.start_ms,
        after.end_ms,
        before.state,
        before.why,
        before.object,
        before.bucket,
        before.epoch,
        before.first_offset,
        after.end_offset,
    )


def _once(pieces: list[Piece]) -> list[Piece]:
    """Without what waits or is dead although the bucket has it: it is about to be settled."""
    stored = [one for one in pieces if one.state == "stored" and one.epoch is not None]
    return [
        one
        for one in pieces
        if one.state == "stored"
        or not any(
            other.epoch == one.epoch
            and other.first_offset <= one.first_offset
            and one.end_offset <= other.end_offset
            for other in stored
        )
    ]


def _gap(before: Piece, after: Piece, start_ms: int, deleted: Sequence[Piece]) -> list[Piece]:
    """What lies between two stretches."""
    for one in deleted:
        if one.start_ms < after.start_ms and one.end_ms > start_ms:
            return [Piece(start_ms, after.start_ms, "deleted", one.why, one.object)]
    state: State = "gap"
    if before.epoch is None or after.epoch is None:
        why = "nothing was recorded, as far as the objects say"
    elif before.epoch == after.epoch:
        lost = after.first_offset - before.end_offset
        if lost > 0:
            state, why = "missing", f"{lost} bytes of the session are nowhere: deleted, or lost by Redis"
        else:
            why = "a pause: the session's bytes go on without a hole"
    elif after.first_offset:
        state = "missing"
        why = (
            f"the first {after.first_offset} bytes of the next session are nowhere: deleted, or lost by Redis"
        )
    else:
        why = "between two sessions"
    return [Piece(start_ms, after.start_ms, state, why)]


def _stretch(one: Piece) -> Stretch:
    known = one.epoch is not None
    return Stretch(
        start=moment(one.start_ms),
        end=moment(one.end_ms),
        seconds=max(0, one.end_ms - one.start_ms) / 1000,
        state=one.state,
        object=one.object,
        bucket=one.bucket,
        why=one.why,
        start_ms=one.start_ms,
        end_ms=one.end_ms,
        session=one.epoch,
        first_offset=one.first_offset if known else None,
        end_offset=one.end_offset if known else None,
        length_known=not one.endless,
    )
