"""Where merges may have taken what a pass of a user's deletion was to find.

A pass looks at one conversation after another. What a merge takes out of one before it is looked at, into one that was looked at by then, or that came
later, no look of that pass meets. So whoever ends a pass asks which merges were under way beside it, and looks at their targets again. Owns that question,
and asks it by the operations: nothing else brings audio from one conversation into another. Merges out of what was found to be without are not asked
about again: so it ends, though a user merges for ever what was recorded since.
"""

from collections.abc import Collection

import msgspec

from audiobus import Bus
from audiobus.operations import BEGUN_KEPT, BEGUN_KEPT_MS, begun, undone
from storage_api.merging.merge import KIND, Request
from storage_api.merging.went import requests_of


class Merges(msgspec.Struct, frozen=True, kw_only=True):
    """Those of a user, as of a moment."""

    at_ms: int = 0
    """The moment, unix ms of Redis; 0 where nobody looked."""
    last_ms: int = 0
    """When the last one was begun by then: each has a time of its own, later than those before it."""
    undone: list[str] = []
    """Ids of those that were under way."""


async def merges(bus: Bus, uid: str, now_ms: int) -> Merges:
    """As of now. `now_ms`: Redis' clock, read before. BusUnavailableError."""
    # In this order: one that is begun in between is in both, and told twice.
    last_ms = max((await begun(bus, KIND, uid)).values(), default=0)
    return Merges(at_ms=now_ms, last_ms=last_ms, undone=await undone(bus, KIND, uid))


async def targets_since(
    bus: Bus, uid: str, before: Merges, now_ms: int, *, out_of: Collection[str] | None
) -> list[str] | None:
    """The conversations into which anything may have been taken since `before`, in order; None where nobody can tell.

    `out_of`: only these hold anything, and what is taken along from them; None for any. BusUnavailableError.
    """
    known = await begun(bus, KIND, uid)
    since = {one for one, at_ms in known.items() if at_ms > before.last_ms}
    if since and (now_ms - before.at_ms >= BEGUN_KEPT_MS or len(known) >= BEGUN_KEPT):
        return None  # there may have been more than are told of
    requests = await requests_of(bus, since.union(before.undone))
    targets: set[str] = set()
    while more := {one.target for one in requests if _takes(one, out_of, targets)} - targets:
        targets |= more
    return sorted(targets)


def _takes(one: Request, out_of: Collection[str] | None, targets: Collection[str]) -> bool:
    return out_of is None or any(source in out_of or source in targets for source in one.sources)
