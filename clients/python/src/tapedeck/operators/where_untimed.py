"""Audio that is there and does not say when it was recorded: it is put where its bytes lie in their session. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from audiobus import EntryId
from tapedeck.operators.spans import length
from tapedeck.operators.whereabouts import Piece, State


@dataclass(frozen=True, slots=True)
class Untimed:
    """An entry, or a dead letter, whose time cannot be read."""

    id: EntryId
    first_offset: int
    """Its bytes of the session go from here to the id's offset."""
    samples: int
    """What was counted for it, at 48 kHz."""
    state: State
    why: str

    @property
    def what(self) -> str:
        """For people."""
        return f"dead letter {self.id}" if self.state == "dead" else f"entry {self.id}, which waits,"


def placed(untimed: Iterable[Untimed], pieces: Sequence[Piece], notes: list[str]) -> list[Piece]:
    """Each right after the piece that its bytes go on from, or right before the one that goes on from them.

    What has no such neighbour is at no known time: that is added to the notes.
    """
    ends = {(one.epoch, one.end_offset): one.end_ms for one in pieces}
    starts = {(one.epoch, one.first_offset): one.start_ms for one in pieces}
    found: list[Piece] = []
    left: list[Untimed] = []

    def place(one: Untimed, start_ms: int) -> None:
        piece = Piece(
            start_ms,
            start_ms + one.samples // 48,
            one.state,
            one.why,
            epoch=one.id.epoch,
            first_offset=one.first_offset,
            end_offset=one.id.offset,
        )
        ends[piece.epoch, piece.end_offset] = piece.end_ms
        starts[piece.epoch, piece.first_offset] = piece.start_ms
        found.append(piece)

    for one in sorted(_narrowed(list(untimed), pieces), key=lambda each: each.id):
        start_ms = ends.get((one.id.epoch, one.first_offset))
        if start_ms is None:
            left.append(one)
        else:
            place(one, start_ms)
    unknown: list[str] = []
    for one in reversed(left):
        end_ms = starts.get((one.id.epoch, one.id.offset))
        if end_ms is None:
            unknown.append(
                f"{one.what} holds {length(one.samples / 48_000)} at a time that nothing tells: {one.why}"
            )
        else:
            place(one, end_ms - one.samples // 48)
    notes += reversed(unknown)
    return found


def _narrowed(untimed: Sequence[Untimed], pieces: Iterable[Piece]) -> list[Untimed]:
    """What waits, without the bytes before it that have become a dead letter or an object since."""
    ends = [(one.epoch, one.end_offset) for one in pieces]
    ends += [(one.id.epoch, one.id.offset) for one in untimed]
    found = []
    for one in untimed:
        before = (end for epoch, end in ends if epoch == one.id.epoch and end < one.id.offset)
        first = max(one.first_offset, max(before, default=0))
        found.append(replace(one, first_offset=first) if one.state == "waiting" else one)
    return found
