"""Which objects a conversation has, by their names: all of them, or as many as a page needs.

Owns where a listing begins and ends, and which parts of it are asked for side by side: a bucket tells a thousand names a call, and each call takes
its time. Where the next names lie is known from the listing before, or guessed by the times of those before; that decides how long it takes, never what is found. Judges nothing.
One name after another, a listing finds what was put behind an object before that is deleted; parts side by side may find neither.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from audiostore.legacy import AudioName, parse_audio_name
from audiostore.names import MAX_TIME_MS, timestamp
from audiostore.store import PAGE_OBJECTS, ObjectInfo, Store, lists_from_anywhere
from storage_api.turns import TURN, side_by_side
from storage_api.wall_clock import now_ms

PARTS: Final = 12
"""Parts of a listing that are asked for at once, at the most; and of all listings, beside the first part of each."""
LISTINGS: Final = 5
"""So often a conversation is listed at the most, where each time something else goes before it was looked at."""
LONG_LISTINGS: Final = 1_000
"""Of which it is known where their parts begin: of each eleven names at the most."""
PART_NAMES: Final = PAGE_OBJECTS - 1
"""Names that one call gives at least, where there are so many: the one after which it begins may be among them."""
MEANT_NAMES: Final = PART_NAMES * 0.95
"""So many a part is meant to have: one more than a call gives would be one call more."""
APART: Final = int(MEANT_NAMES)
"""From one place that is known to the next, in names."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a conversation whose names sort as their times do. Unix ms."""

    from_ms: int
    """Objects that begin then or later are listed."""
    counted_from_ms: int
    """Those that begin then or later count."""
    count: int
    """So many of those are enough."""
    pace_us: int = 0
    """About so long after each of them the next one begins, in microseconds; 0 where nobody knows."""


@dataclass(slots=True)
class Listing:
    """What was found, in name order."""

    listed: list[tuple[AudioName, ObjectInfo]] = field(default_factory=list)
    before_ms: int | None = None
    """All of the stretch that begin before this time are there; None where all are."""


class Earlier:
    """Where the parts of long listings can begin, by what each gave when it was listed last: then all of them are asked for at once."""

    def __init__(self) -> None:
        self._bounds: OrderedDict[str, tuple[str, ...]] = OrderedDict()

    def of(self, prefix: str) -> tuple[str, ...]:
        """After which names they begin, but for the first; none where nobody knows."""
        return self._bounds.get(prefix, ())

    def remember(self, prefix: str, bounds: Sequence[str]) -> None:
        """These."""
        self._bounds.pop(prefix, None)
        if bounds:
            self._bounds[prefix] = tuple(bounds)
            if len(self._bounds) > LONG_LISTINGS:
                self._bounds.popitem(last=False)


async def list_objects(
    store: Store,
    prefix: str,
    stretch: Stretch | None,
    places: asyncio.Semaphore | None = None,
    earlier: Earlier | None = None,
) -> Listing:
    """The objects of a conversation whose names begin with `prefix`; all of them where no stretch is given.

    Parts are asked for side by side where there are `places` for them; one name after another where there are none. StoreError.
    """
    found, counted = Listing(), 0
    if places is None or not lists_from_anywhere(store):
        infos = store.list(prefix, f"{prefix}{timestamp(stretch.from_ms)}" if stretch else "")
    else:
        side = _SideBySide(store, prefix, stretch, places, earlier or Earlier())
        infos = side.all() if stretch is None else side.some(stretch)
    left = TURN
    async for info in infos:
        left -= 1
        if not left:
            left = TURN
            await asyncio.sleep(0)  # many may have come at once
        name = parse_audio_name(info.name)
        if name is None:
            continue
        if stretch is not None and name.start_ms >= stretch.counted_from_ms:
            if counted == stretch.count:
                found.before_ms = name.start_ms
                break
            counted += 1
        found.listed.append((name, info))
    return found


def _is_counted(info: ObjectInfo, stretch: Stretch) -> bool:
    name = parse_audio_name(info.name)
    return name is not None and name.start_ms >= stretch.counted_from_ms


def _bounds_after(prefix: str, infos: Sequence[ObjectInfo], parts: int) -> list[str]:
    """Where the parts begin that follow these, of which there are some."""
    page = infos[-PART_NAMES:]
    first, last = parse_audio_name(page[0].name), parse_audio_name(page[-1].name)
    after = infos[-1].name
    if first is None or last is None:
        return [after]
    return list(_bounds(prefix, after, last.start_ms, (last.start_ms - first.start_ms) / len(page), parts))


def _bounds_of(prefix: str, stretch: Stretch) -> list[str]:
    """Where the parts of a stretch begin."""
    from_ms, pace_ms = stretch.from_ms, stretch.pace_us / 1000
    names = stretch.count + 1 + ((stretch.counted_from_ms - from_ms) / pace_ms if pace_ms else 0)
    parts = min(PARTS, 1 + int(names / MEANT_NAMES))
    return list(_bounds(prefix, f"{prefix}{timestamp(from_ms)}", from_ms, pace_ms, parts))


def _bounds(prefix: str, after: str, from_ms: int, pace_ms: float, parts: int) -> Iterator[str]:
    """`after`, and names that follow it, each by what a call gives; none beyond now, for nothing begins there."""
    yield after
    last_ms = min(now_ms(), MAX_TIME_MS)
    for part in range(1, parts):
        at_ms = from_ms + round(part * MEANT_NAMES * pace_ms)
        if not 0 <= at_ms <= last_ms:
            return
        bound = f"{prefix}{timestamp(at_ms)}"
        if bound <= after:
            return
        yield bound
        after = bound


@dataclass(frozen=True, slots=True)
class _SideBySide:
    """A listing whose parts are asked for at once: the first at any rate, each of the others when it gets a place."""

    store: Store
    prefix: str
    stretch: Stretch | None
    places: asyncio.Semaphore
    earlier: Earlier

    async def all(self) -> AsyncIterator[ObjectInfo]:
        bounds = ["", *self.earlier.of(self.prefix)]
        parts, count, begin = len(bounds), 0, list[str]()
        infos, ended = await self._parts(bounds)
        while True:
            for info in infos:
                yield info
                count += 1
                if count % APART == 0 and len(begin) < PARTS - 1:
                    begin.append(info.name)
            if ended:
                break
            # Many only where there were many: a call for names that are not there costs as much.
            parts = min(2 * parts, PARTS)
            infos, ended = await self._parts(_bounds_after(self.prefix, infos, parts))
        # What one call gives together with the part before it needs none of its own.
        while begin and count - APART * len(begin) < PART_NAMES - APART:
            begin.pop()
        self.earlier.remember(self.prefix, begin)

    async def some(self, stretch: Stretch) -> AsyncIterator[ObjectInfo]:
        infos, ended = await self._parts(_bounds_of(self.prefix, stretch))
        for info in infos:
            yield info
        if ended:
            return
        async for info in self.store.list(self.prefix, infos[-1].name):
            yield info

    async def _parts(self, bounds: Sequence[str]) -> tuple[list[ObjectInfo], bool]:
        """All names from the first bound up to the last one and as many after that as a call gives; and whether that was the end.

        Where a part and those before it have more than the stretch wants, it ends there: nobody asks for what follows.
        """
        found: list[list[ObjectInfo]] = [[] for _ in bounds]
        counted = [0 for _ in bounds]
        ended = False

        async def between(part: int) -> None:
            nonlocal ended
            last = part + 1 == len(bounds)
            async for info in self.store.list(self.prefix, bounds[part]):
                if not last and info.name > bounds[part + 1]:
                    return
                found[part].append(info)
                if self.stretch is not None:
                    counted[part] += _is_counted(info, self.stretch)
                    if sum(counted[: part + 1]) > self.stretch.count:
                        return
                if last and len(found[part]) == PART_NAMES:
                    return
            if last:
                ended = True

        async def placed(part: int) -> None:
            if part == 0:
                await between(part)
            else:
                async with self.places:
                    await between(part)

        await side_by_side(range(len(bounds)), placed)
        return [info for part in found for info in part], ended
