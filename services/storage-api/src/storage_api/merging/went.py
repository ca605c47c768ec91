"""Whether any of a user's conversations went into another one while they were listed.

Names are listed one after another: of a target that is listed before its source the copies may come too late for a listing, and the source may
have gone by the time that it gets there. A source goes under its tombstone, after all of it was copied: so where none got one from before the listing
until after the last look, nothing was missed. Owns that question, and asks it by the operations: what is not merged is not asked for.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import msgspec

from audiobus import Bus, Conversation
from audiobus.errors import BadEntryError
from audiobus.operations import begun, find, undone
from audiobus.tombstone import under_tombstones
from storage_api.merging.merge import KIND, Request


@dataclass(frozen=True, slots=True)
class Merges:
    """Those of a user, as of a moment."""

    begun: Mapping[str, int]
    """When the last ones were, by id."""
    undone: frozenset[str]
    went: frozenset[Conversation]
    """Of the sources of these, those that went already."""


async def merges_of(bus: Bus, uid: str) -> Merges:
    """As of now. One command where none was begun lately. BusUnavailableError."""
    lately = await begun(bus, KIND, uid)
    going_on = frozenset(await undone(bus, KIND, uid)) if lately else frozenset()
    return Merges(lately, going_on, frozenset(await _went(bus, uid, going_on)))


async def went_since(bus: Bus, uid: str, before: Merges) -> bool:
    """Whether one did since then. One command where none can have. BusUnavailableError."""
    lately = await begun(bus, KIND, uid)
    since = {one for one, at_ms in lately.items() if before.begun.get(one) != at_ms}
    return bool(await _went(bus, uid, before.undone | since) - before.went)


async def requests_of(bus: Bus, operations: Collection[str]) -> list[Request]:
    """What these merges were asked for; left out where nobody knows any more, or it cannot be read. BusUnavailableError."""
    requests = []
    for one in operations:
        try:
            operation = await find(bus, one)
            if operation is not None:
                requests.append(msgspec.json.decode(operation.request, type=Request))
        except (BadEntryError, msgspec.DecodeError):
            continue  # nobody carries it out
    return requests


async def _went(bus: Bus, uid: str, operations: Collection[str]) -> set[Conversation]:
    """The sources of these that went."""
    requests = await requests_of(bus, operations)
    sources = {
        Conversation(uid, cid) for request in requests if request.delete_sources for cid in request.sources
    }
    return await under_tombstones(bus, sources)
