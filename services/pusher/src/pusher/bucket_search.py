"""Which bytes of a conversation lie in a bucket.

Owns what counts: what objects say of themselves, and of those that hold audio of the very time that is asked for, whether it is true, for
the only other copy of that audio goes on the strength of it.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Container
from dataclasses import dataclass
from typing import Final

from audiobus.conversation import Conversation
from audiobus.cut import Stored
from audiocodec.span import Span
from audiostore.batch import BatchFacts
from audiostore.errors import NotFoundError
from audiostore.key_ring import KeyRing
from audiostore.names import BatchName, conversation_prefix, parse_name, timestamp
from audiostore.store import ObjectInfo, Store
from pusher.object_facts import object_facts, same_runs
from pusher.stored_ranges import covers, merged, reach_into
from pusher.wholeness import whole_batch

log = logging.getLogger(__name__)

LONGEST_OBJECT_MS: Final = 150_000
"""No object of ours lasts longer (audiostore refuses to write it), so none that began before this can reach into a stretch of time."""


Unsure = Callable[[], Awaitable[Container[str]]]
"""Which names do not count, asked once the objects were looked at (`audiobus.replacing.not_counting`); not asked where none was found."""


@dataclass(frozen=True, slots=True)
class Found:
    """What objects of a stretch of time hold."""

    ranges: tuple[Stored, ...]
    passed_ms: int
    """No object of the conversation, but those of before, reaches into what comes after this (unix ms)…"""
    next_ms: int
    """…and ends before this: where the next object begins, or nobody has looked."""
    names: tuple[str, ...] = ()
    """Of the objects that were read: those that hold audio of that time, or begin where it ends."""
    held: tuple[tuple[str, tuple[Stored, ...]], ...] = ()
    """The name and the ranges of each object that counts."""


async def stored_between(
    store: Store,
    ring: KeyRing,
    conversation: Conversation,
    start_ms: int,
    end_ms: int,
    *,
    without: Container[str] = (),
    unsure: Unsure | None = None,
) -> Found:
    """The bytes of this conversation that objects of this time hold, those of the names `without` left out, and those that `unsure` answers afterwards.

    Objects that reach into it are fetched and read, and so is one that begins where it ends: whoever leaves out all of this time may go on with what
    comes next. One that ends where it begins, as the one before does, is believed.

    Raises:
        StoreError: the bucket cannot be asked.
        CannotTellError: nor without the key of an object of that time that only its content tells of.
    """
    prefix = conversation_prefix(conversation.uid, conversation.cid)
    held: list[tuple[str, tuple[Stored, ...]]] = []
    names: list[str] = []
    passed_ms, next_ms = start_ms - 1, _same_length(end_ms)[1]
    async for info, name in _from(store, prefix, max(0, start_ms - LONGEST_OBJECT_MS), end_ms):
        if name.start_ms > end_ms:
            next_ms = name.start_ms
            continue
        if info.name in without or name.end_ms < start_ms:
            continue
        passed_ms = max(passed_ms, name.end_ms)
        facts = await object_facts(store, info, ring)
        if facts is None or facts.conversation_id != conversation.cid:
            continue
        counts = name.end_ms > start_ms
        try:
            if counts and not await _is_whole(store, info, facts, ring):
                log.info(  # whoever does something for that tells it
                    "an object is damaged: it does not count", extra={"object": info.name.rpartition("/")[2]}
                )
                continue
        except NotFoundError:
            continue  # removed just now
        if counts:
            names.append(info.name)
        ranges = tuple(Stored(span.epoch, span.first_offset, span.end_offset) for span in facts.spans)
        held.append((info.name, ranges))
    if unsure is not None and held:
        not_counting = await unsure()
        held = [one for one in held if one[0] not in not_counting]
        names = [name for name in names if name not in not_counting]
    found = merged(one for _, ranges in held for one in ranges)
    return Found(found, passed_ms, next_ms, tuple(names), tuple(held))


async def _from(
    store: Store, prefix: str, begin_ms: int, end_ms: int
) -> AsyncIterator[tuple[ObjectInfo, BatchName]]:
    """The objects that began then or later, in the order of time; up to and with the first that began after `end_ms`, if it is of the same length.

    Names are in the order of their characters, so they are in that of time only where the numbers are equally long (as they are from 2001 to 2286).
    """
    while begin_ms <= end_ms:
        least_ms, most_ms = _same_length(begin_ms)
        async for info in store.list(prefix, after=f"{prefix}{timestamp(begin_ms)}"):
            name = parse_name(info.name)
            if name is None or not least_ms <= name.start_ms < most_ms:
                continue
            yield info, name
            if name.start_ms > end_ms:
                return
        begin_ms = most_ms


def _same_length(at_ms: int) -> tuple[int, int]:
    """From when on, and up to when, unix ms, times have as many digits in names as this one."""
    digits = len(str(at_ms // 1000))
    return (10 ** (digits - 1) * 1000 if digits > 1 else 0), 10**digits * 1000


async def _is_whole(store: Store, info: ObjectInfo, facts: BatchFacts, ring: KeyRing) -> bool:
    batch = await whole_batch(store, info, ring)
    return batch is not None and same_runs(facts, batch)


async def holds(
    store: Store,
    ring: KeyRing,
    conversation: Conversation,
    spans: tuple[Span, ...],
    *,
    without: Container[str] = (),
    unsure: Unsure | None = None,
) -> tuple[str, ...] | None:
    """The names of the objects that hold bytes of these runs, if all of them lie in the bucket, in whichever objects but those; else None.

    Raises:
        StoreError, CannotTellError: see `stored_between`.
    """
    found = await stored_between(
        store, ring, conversation, spans[0].start_ms, spans[-1].end_ms, without=without, unsure=unsure
    )
    if not all(covers(found.ranges, span) for span in spans):
        return None
    return tuple(name for name, ranges in found.held if any(reach_into(ranges, span) for span in spans))
