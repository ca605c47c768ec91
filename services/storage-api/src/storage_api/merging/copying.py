"""Copies the objects of a conversation into another one, inside the bucket, and sees that all of them lie there.

Owns which objects are copied, and that they are compared: copies are made in passes, each of which lists both conversations anew, looks for the
copy of every object by its contents, and copies what it does not find. A pass that finds all of them is the comparison. So a copy that was
begun before, by whatever process, is found again and never made twice, also where its original has another name by now.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Final

from audiobus import Bus, Conversation
from audiobus.deletions import noted
from audiobus.named_cuts import cuts_of, speaks_of
from audiostore.errors import AlreadyExistsError, ChecksumError, NotFoundError, StoreError
from audiostore.legacy import parse_audio_name
from audiostore.names import conversation_prefix
from audiostore.paired_store import PairedStore, copy_over
from audiostore.store import ObjectInfo, Store
from storage_api.merging.copy_names import copy_names
from storage_api.merging.room import Room
from storage_api.merging.sameness import Located, Sameness

AT_ONCE: Final = 32
"""Objects that are copied, or compared, at the same time: a copy is some three calls to the bucket, each of which may take 50 ms."""


class NamesTakenError(StoreError):
    """Every name that the copy of an object may have is taken by something else."""


@dataclass(slots=True)
class Pass:
    """What a pass found."""

    objects: int = 0
    """Of the source, each once, that lie in the target."""
    copied: int = 0
    """Copies that were made just now: the next pass compares them."""
    vanished: bool = False
    """Something was gone when it was looked at: its audio may lie under another name by now."""
    names: set[str] = field(default_factory=set)
    """Of the source, as they were listed."""
    copies: set[str] = field(default_factory=set)
    """Names in the target under which they were found."""

    @property
    def clean(self) -> bool:
        """Whether every object was found and compared."""
        return not (self.copied or self.vanished)


@dataclass(frozen=True, slots=True)
class Avoided:
    """Names in the target that no copy gets."""

    noted: frozenset[str]
    """They must not be in the bucket: pushers delete what has one."""
    cuts: Sequence[bytes]
    """The target's cuts that stand: builds that do not look who has a name give it up with the cut."""

    def __contains__(self, name: str) -> bool:
        return name in self.noted or speaks_of(self.cuts, name)


class Target:
    """What there is of the target, as it was when it was looked at."""

    def __init__(self, conversation: Conversation, there: dict[str, ObjectInfo], avoided: Avoided) -> None:
        self.conversation = conversation
        self.there = there
        self.avoided = avoided
        self._alike: dict[tuple[int, int], list[str]] = {}
        """Names by when they begin, unix ms, and how large they are."""
        for info in list(there.values()):
            self.add(info)

    def add(self, info: ObjectInfo) -> None:
        """An object that lies there: one that was copied just now is found in the same pass by what another source has of it."""
        self.there[info.name] = info
        for one in (info, info.beside):
            if one is not None and (key := _alike(one)) is not None:
                self._alike.setdefault(key, []).append(one.name)

    def alike(self, info: ObjectInfo) -> Sequence[str]:
        """Names of objects that may be copies of that one."""
        key = _alike(info)
        return self._alike.get(key, ()) if key is not None else ()


class Copying:
    """Copies into one conversation."""

    def __init__(self, bus: Bus, store: Store, target: Conversation) -> None:
        self._bus = bus
        self._store = store
        self._conversation = target

    async def look(self) -> Target:
        """The target, for one pass over any number of sources: it may have many objects. StoreError, BusUnavailableError."""
        conversation = self._conversation
        # Names that pushers delete wherever they see them: what has one would not stay. Nor would, with some builds, what has one of a cut.
        names = frozenset(await noted(self._bus, conversation))
        avoided = Avoided(names, await cuts_of(self._bus, conversation))
        there = {info.name: info async for info in self._store.list(conversation_prefix(*conversation))}
        return Target(conversation, there, avoided)

    async def run(self, source: Conversation, target: Target, only: set[str] | None = None) -> Pass:
        """One pass over the objects of `source`; over those of these names, where only they are asked for.

        Raises:
            StoreError: the bucket cannot be asked, or no name is left for a copy.
            NotReplicatedError, BusUnavailableError: it cannot be told which names must not be in the bucket.
        """
        # What has one of these is no audio of the source any more.
        gone = await noted(self._bus, source, confirmed=True)
        done = Pass()
        originals = []
        async for info in self._store.list(conversation_prefix(*source)):
            if info.name not in gone and (only is None or info.name in only):
                done.names.add(info.name)
                originals += [one async for one in self._originals(info)]
        one_pass = _OnePass(self._store, source, target, done)
        waiting = iter(originals)

        async def work() -> None:
            for original in waiting:
                await one_pass.place(original)

        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(AT_ONCE):
                    tasks.create_task(work())
        except ExceptionGroup as group:
            raise group.exceptions[0] from group
        return done

    async def _originals(self, info: ObjectInfo) -> AsyncIterator[Located]:
        """The objects of this name: two, where both buckets have it and may hold different things."""
        if info.beside is None or not isinstance(self._store, PairedStore):
            yield Located(self._store, info)
            return
        yield Located(self._store.first, info)
        yield Located(self._store.second, info.beside)


class _OnePass:
    """One pass over a source: what came of it so far."""

    def __init__(self, store: Store, source: Conversation, target: Target, done: Pass) -> None:
        self._store = store
        self._source = source
        self._target = target
        self._done = done
        self._room = Room()
        self._sameness = Sameness(self._room)

    async def place(self, original: Located) -> None:
        """Finds the copy of this object, or makes it."""
        tried: set[str] = set()
        for name in copy_names(original.info.name, self._source, self._target.conversation):
            if name in self._target.avoided:
                continue
            tried.add(name)
            try:
                if await self._found(original, name):
                    self._take(name)
                    return
                if name not in self._target.there and (other := await self._found_elsewhere(original, tried)):
                    self._take(other)
                    return
                if name not in self._target.there and await self._copied(original, name):
                    self._done.copied += 1
                    return
                # Somebody put it meanwhile, or other contents have the name.
                if name not in self._target.there and await self._same_now(original, name):
                    self._done.copied += 1
                    return
            except NotFoundError:
                self._done.vanished = True
                return
        raise NamesTakenError(
            f"copy {original.info.name}: no name is left for it in {self._target.conversation.cid}"
        )

    def _take(self, name: str) -> None:
        self._done.objects += 1
        self._done.copies.add(name)

    async def _found_elsewhere(self, original: Located, tried: set[str]) -> str | None:
        """The copy's name, where it was made before the original came to have its own: the mover brings home under another what lies in two buckets."""
        for name in self._target.alike(original.info):
            if name not in tried and name not in self._target.avoided:
                tried.add(name)
                if await self._found(original, name):
                    return name
        return None

    async def _found(self, original: Located, name: str) -> bool:
        info = self._target.there.get(name)
        if info is None:
            return False
        if info.beside is not None and isinstance(self._store, PairedStore):
            if await self._sameness.same(original, Located(self._store.second, info.beside)):
                return True
            return await self._sameness.same(original, Located(self._store.first, info))
        return await self._sameness.same(original, Located(self._store, info))

    async def _copied(self, original: Located, name: str) -> bool:
        """Whether it was copied there just now. NotFoundError: it is gone."""
        # From one bucket into the other there is no other way than through here.
        through_here = isinstance(self._store, PairedStore)
        try:
            async with self._room.of(original.info.size) if through_here else nullcontext():
                if isinstance(self._store, PairedStore) and original.store is self._store.second:
                    made = await copy_over(self._store.second, self._store.first, original.info.name, name)
                else:
                    made = await self._store.copy(original.info.name, name)
        except AlreadyExistsError:
            return False
        except ChecksumError as error:
            # What lies there may be as damaged as what was copied: the next pass compares.
            try:
                await self._store.head(name)
            except NotFoundError:
                raise error from None
            return True
        self._target.add(made)
        return True

    async def _same_now(self, original: Located, name: str) -> bool:
        info = await self._store.head(name)
        return await self._sameness.same(original, Located(self._store, info))


def _alike(info: ObjectInfo) -> tuple[int, int] | None:
    """What an object has in common with each of its copies; None for one that is no audio."""
    name = parse_audio_name(info.name)
    return None if name is None else (name.start_ms, info.size)
