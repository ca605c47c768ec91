"""What lies in Redis and cannot be heard, told apart from what was deleted: by a time that means something else nobody could delete it.

Owns at which times each is not listed. Of what times meant it reads only those beside which one of these lies.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from audiobus import Bus, Conversation
from audiobus.errors import BadEntryError
from audiobus.meant import meant_at, times
from storage_api.deleted_starts import deleted_starts
from storage_api.errors import log_text
from storage_api.timeline import Piece
from storage_api.unheard import Unheard, placed

log = logging.getLogger(__name__)


async def told_apart(
    bus: Bus, conversation: Conversation, unheard: tuple[Unheard, ...], pieces: Callable[[], Iterable[Piece]]
) -> tuple[Unheard, ...]:
    """The same, each with the times that mean others. BusUnavailableError.

    `pieces`: all of the conversation that can be read, to be asked for in a thread.
    """
    if all(one.span is not None for one in unheard):
        return unheard
    try:
        known = await times(bus, conversation)
    except BadEntryError as error:
        # They are listed where they lie most likely, and perhaps at a time that means another.
        log.warning("what times of deletions meant cannot be read", extra={"reason": log_text(error)})
        return unheard

    def beside() -> tuple[frozenset[int], dict[str, list[int]]]:
        lying = placed(unheard, pieces(), conversation.cid)
        where = {str(one.unheard.id): one.start_48k // 48 for one in lying if one.unheard.span is None}
        # None is moved by more than there are times.
        taken = known.meant_ms | known.others_ms
        near = {
            second for at_ms in where.values() for second in _seconds(at_ms, len(taken) + len(known.names))
        }
        taken |= deleted_starts(known.names, near)
        return taken, {one: _run(at_ms, taken) for one, at_ms in where.items()}

    taken, runs = await asyncio.to_thread(beside)
    asked = known.meant_ms.intersection(at for run in runs.values() for at in run)
    meant = await meant_at(bus, conversation, sorted(asked))
    own: dict[str, set[int]] = {}
    for at_ms, one in meant.items():
        for entry in one.entries:
            own.setdefault(entry, set()).add(at_ms)
    return tuple(
        one if one.span is not None else replace(one, not_at_ms=_without(taken, own.get(str(one.id))))
        for one in unheard
    )


def _without(taken: frozenset[int], own: Collection[int] | None) -> frozenset[int]:
    # One set for nearly all of them.
    return taken.difference(own) if own else taken


def _seconds(at_ms: int, most: int) -> range:
    """Those in which it may come to lie."""
    return range(at_ms // 1000, (at_ms + most) // 1000 + 1)


def _run(at_ms: int, taken: Collection[int]) -> list[int]:
    """Those of these times one after another that begin with this one."""
    found = []
    while at_ms in taken:
        found.append(at_ms)
        at_ms += 1
    return found
