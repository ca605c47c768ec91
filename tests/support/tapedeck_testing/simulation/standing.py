"""Where one conversation stands in its books, and what no script may do to that. Pure.

What is settled never goes back and is never cut again, and no id or count goes back: only a Redis that loses its last writes goes back, with
everything at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from audiobus.cut import decode_cut
from audiobus.entry_id import EntryId

NO_ID: Final = EntryId(0, 0)


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands in the books of one conversation at one moment."""

    newest: EntryId = NO_ID
    settled: EntryId = NO_ID
    received: int = 0
    cut_from: EntryId | None = None
    """The first entry of the cut that stands."""

    @classmethod
    def read(
        cls,
        newest: bytes | None,
        settled: bytes | None,
        received: bytes | None,
        cut: bytes | None,
        moved: bytes | None = None,
    ) -> Self:
        """From the fields of `td:conv`. What moved with a merge was received here all the same."""
        return cls(
            EntryId.parse_or_none(newest) or NO_ID,
            EntryId.parse_or_none(settled) or NO_ID,
            int(received or 0) + int(moved or 0),
            decode_cut(cut).first_id if cut else None,
        )


def stepped_back(before: Standing, after: Standing, *, lost: bool = False) -> list[str]:
    """What no script may have done between the two.

    `lost`: Redis has lost writes at some time. A pusher that had read them stores them all the same, and what is settled then lies beyond the
    newest that Redis knows, until the session gets there again.
    """
    found = []
    if after.settled < before.settled:
        found.append(f"settled went back from {before.settled} to {after.settled}")
    if after.newest < before.newest:
        found.append(f"newest went back from {before.newest} to {after.newest}")
    if after.received < before.received:
        found.append(f"received went back from {before.received} to {after.received}")
    if not lost and after.settled > after.newest:
        found.append(f"settled up to {after.settled}, and the newest is {after.newest}")
    if after.cut_from is not None and after.cut_from <= after.settled:
        found.append(f"cut from {after.cut_from} on, and all up to {after.settled} was settled before")
    return found
