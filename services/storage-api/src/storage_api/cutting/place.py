"""One place in the bucket where objects take the place of others: what is put there, what counts, and what is taken away again.

Owns the order: announced, put, and then, in one step, in place (`audiobus.replacing`); the old ones are deleted only after that. What was put and never
came into its place is withdrawn, by whoever replaces objects of the conversation next.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from audiobus.deletions import Noted, noted
from audiobus.errors import NamedByCutError
from audiobus.meant import Meant, note, notes
from audiobus.replacing import Replacing
from audiostore.errors import AlreadyExistsError, NotFoundError
from audiostore.names import conversation_prefix
from audiostore.store import Store
from audiostore.waveform_names import audio_name, conversation_waveforms
from storage_api.cutting.meaning import renamed
from storage_api.cutting.new_object import NewObject, is_marked
from storage_api.deletion.erasing import delete_all
from storage_api.errors import StorageApiError
from storage_api.wall_clock import now_ms

AT_ONCE: Final = 500
"""Names in one step."""


@dataclass(frozen=True, slots=True)
class Old:
    """An object that is to be deleted."""

    name: str
    samples: int
    """Of this conversation, at 48 kHz, that are stored nowhere else and go with it."""
    new: tuple[str, ...]
    """Names of what was put in its place."""


class LostError(StorageApiError):
    """Somebody else may replace objects of the conversation by now: nothing more may be changed. Begin anew."""

    retryable = True


@dataclass(slots=True)
class Place:
    """The objects of one conversation, to somebody who may replace them."""

    store: Store
    replacing: Replacing
    forbidden: frozenset[str] = frozenset()
    """Names that must not be in the bucket, as they were read last."""
    noted: dict[str, Noted] = field(default_factory=dict)
    """The same, with why."""
    put_here: list[str] = field(default_factory=list)
    """Names of what was put, or may be, and is not in its place yet."""

    async def begin(self) -> int:
        """Takes away what somebody left who was killed: new objects that never counted, old ones that count no more. How many were deleted with audio.

        StoreError, BusError.
        """
        await self._withdraw(await self.replacing.unfinished())
        await self.refresh()
        if not self.forbidden:
            return 0
        prefix = conversation_prefix(*self.replacing.conversation)
        left = [info.name async for info in self.store.list(prefix) if info.name in self.forbidden]
        await delete_all(self.store, left)
        await self._delete_derived(self.forbidden)
        whys = (self.noted[name] for name in left)
        return sum(not (why.given_up or why.withdrawn) for why in whys)

    async def keep(self) -> None:
        """Goes on having the turn. LostError; BusError."""
        if not await self.replacing.keep():
            raise LostError

    async def refresh(self) -> None:
        """Reads anew which names must not be in the bucket. BusError."""
        # Objects are deleted on the strength of it: a former master must not say so.
        self.noted = await noted(self.replacing.bus, self.replacing.conversation, confirmed=True)
        self.forbidden = frozenset(self.noted)

    async def note(self, meant: Mapping[int, Meant]) -> None:
        """Notes what these times mean, of which nothing is noted, before that goes. LostError; BadEntryError, BusError."""
        if not meant:
            return
        known = await notes(self.replacing.bus, self.replacing.conversation)
        leaving = await asyncio.to_thread(known.leaving, now_ms(), meant)
        if not await note(self.replacing, meant, leaving, keep=True):
            raise LostError

    async def put(self, new: NewObject) -> str:
        """Puts an object, under the first of its names that is free. LostError; StoreError; BusError."""
        name = new.name
        while True:
            await self.keep()
            if name.path not in self.forbidden and name.path not in self.put_here:
                try:
                    if not await self.replacing.announce(name.path, new.mark):
                        raise LostError
                    # Also where it fails: it may lie there, or land yet, and not be what was sent.
                    self.put_here.append(name.path)
                    await self.store.put(
                        name.path, new.data, content_type=new.content_type, metadata=new.metadata
                    )
                except NamedByCutError:
                    pass  # a pusher's
                except AlreadyExistsError:
                    self.put_here.remove(name.path)
                    await self.replacing.forget([name.path])  # somebody else's
                else:
                    if not await self.replacing.keep():
                        # Whoever has the right by now has taken it away before it came.
                        self.put_here.remove(name.path)
                        await self.store.delete(name.path)
                        raise LostError
                    return name.path
            name = replace(name, end_ms=name.end_ms + 1)

    async def replace(self, old: Sequence[Old]) -> int:
        """What was put takes the place of these, in this order; how many samples are counted as deleted by it. LostError; BusError."""
        await self._rename({one.name: one.new for one in old})
        counted = 0
        for start in range(0, len(old), AT_ONCE):
            await self.keep()
            some = old[start : start + AT_ONCE]
            new = [name for one in some for name in one.new]
            samples = await self.replacing.replace(new, {one.name: one.samples for one in some}, now_ms())
            if samples is None:
                raise LostError
            counted += samples
            self.put_here = [name for name in self.put_here if name not in frozenset(new)]
        self.forbidden |= {one.name for one in old}
        return counted

    async def _rename(self, new: Mapping[str, Collection[str]]) -> None:
        """By what times meant one of these they mean what is left of it, too, also where nothing but its name tells what it is."""
        if not any(new.values()):
            return
        known = await notes(self.replacing.bus, self.replacing.conversation)
        deleted = [name for name, why in self.noted.items() if not why.given_up]
        meant = await asyncio.to_thread(renamed, known.meant, new, deleted)
        # Before it counts: a name that comes to nothing does no harm in a note, and one that is missing leaves audio behind.
        if not await note(self.replacing, meant):
            raise LostError

    async def delete(self, names: Sequence[str]) -> None:
        """Deletes objects that count no more, with what was derived of them. StoreError."""
        of = frozenset(names)
        # Before the audio, for without that nobody comes back for it; and after it, for it may have been made meanwhile.
        await self._delete_derived(of)
        await delete_all(self.store, names)
        await self._delete_derived(of)

    async def give_up(self, names: Sequence[str] | None = None) -> None:
        """Takes away what was put and is not in its place: these, or all. StoreError, BusError: whoever comes next does it."""
        unfinished = await self.replacing.unfinished()
        some = self.put_here if names is None else names
        await self._withdraw({name: unfinished[name] for name in some if name in unfinished})
        # Withdrawn by another, perhaps before they were put; and nothing is put under these names any more.
        await self.refresh()
        await delete_all(self.store, [name for name in some if name in self.forbidden])
        self.put_here = [name for name in self.put_here if name not in frozenset(some)]

    async def _withdraw(self, unfinished: Mapping[str, str]) -> None:
        if not unfinished:
            return
        ours = [name for name, mark in unfinished.items() if await self._may_be(name, mark)]
        bus, conversation = self.replacing.bus, self.replacing.conversation
        cuts = await bus.command("HMGET", bus.keys.conv(conversation), "cut", "again_cut")
        # What a pusher is about to put may have got that name since: it is that one's then.
        ours = [name for name in ours if not any(name.encode() in cut for cut in cuts if cut)]
        await self.replacing.withdraw(ours, now_ms())
        await delete_all(self.store, ours)
        await self.replacing.forget(list(unfinished))

    async def _may_be(self, name: str, mark: str) -> bool:
        """Whether what has the name, or may come to have it, is what was announced."""
        with suppress(NotFoundError):
            info = await self.store.head(name)
            return is_marked(mark, info)
        return True

    async def _delete_derived(self, names: Collection[str]) -> None:
        """The waveforms of these objects."""
        prefix = conversation_waveforms(*self.replacing.conversation)
        derived = [info.name async for info in self.store.list(prefix) if audio_name(info.name) in names]
        await delete_all(self.store, derived)
