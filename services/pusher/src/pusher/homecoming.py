"""Moving home: one batch of the second bucket goes to the first, exactly once.

Owns the order. The copy in the second bucket is the only one that is known to be there until the first has confirmed the whole object, so it
is deleted last, and only where the first has this audio, whole: under this name, or, where nobody could look before it was cut, under any other.
A crash anywhere between leaves the object in both buckets under one name, which readers play once; whoever comes next finds it at home
and deletes the rest.

What is deleted is looked at on both sides of the put, as in `store_put`, and for the same reason. A name that was noted among the `gone` ones says
something of the object that has it, in either bucket. It says nothing of others with the same audio: one under another name, which somebody else put
there, may be what a cut was settled by. So nothing moves whose cut stands (only of such a one is the name given up, and its audio stored under another),
and what this mover put under another name goes only once that name is noted, too. What a user's tombstone covers is told by when chunks were made, which no
object says: of these, whoever set it notes and deletes the objects (docs/conservation.md).
"""

import asyncio
import logging
import time
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final

import google_crc32c

from audiobus.bus import Bus
from audiobus.conversation import Conversation
from audiobus.cut import decode_cut
from audiobus.deletions import gone, marks, unstore
from audiocodec.errors import CodecError
from audiocodec.ogg import read_ogg_headers
from audiostore import facts as facts_of
from audiostore.batch import BatchFacts, batch_facts
from audiostore.errors import (
    AlreadyExistsError,
    BatchFormatError,
    ChecksumError,
    NotFoundError,
    SealError,
    TransientStoreError,
)
from audiostore.key_ring import KeySource
from audiostore.names import BatchName, parse_name
from audiostore.paired_store import content_type_of
from audiostore.sealing import open_sealed
from audiostore.store import ObjectInfo, Store
from pusher.bucket_search import stored_between
from pusher.object_facts import object_facts, same_runs
from pusher.stored_ranges import covers
from pusher.wholeness import is_just, whole_batch

log = logging.getLogger(__name__)

MOVED: Final = "moved"
FOUND: Final = "found"
DELETED: Final = "deleted"
FAILED: Final = "failed"
WAITS: Final = "waits"
EARLY: Final = "early"
HOMECOMINGS: Final = (MOVED, FOUND, DELETED, FAILED, WAITS, EARLY)
"""What came of an object: copied; its audio was at home already; under a tombstone; a bucket failed; a key is missing; its cut still stands."""


class _There(Enum):
    """What has a name at home."""

    SAME = auto()
    OTHER = auto()
    """Other runs of the same instant."""
    DAMAGED = auto()
    """The same, by what it says; but it is not what was sent."""


@dataclass(slots=True)
class Homecoming:
    """Moves objects, any number at once; two that move the same one do the work twice, not wrongly."""

    bus: Bus
    first: Store
    second: Store
    keys: KeySource
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    """The clock, unix ms."""

    async def move(self, info: ObjectInfo) -> str:
        """MOVED, FOUND or DELETED: the second bucket has it no longer. EARLY: it is to be settled first; come again.

        An object that is no batch of ours by its name is left alone: WAITS.

        Raises:
            StoreError: a bucket failed; nothing is lost. Do the same again.
            CannotTellError: a key is missing without which nobody can tell whether the first bucket has this audio.
            BusError, BadEntryError: nobody can tell whether it is deleted, or settled.
        """
        name = parse_name(info.name)
        if name is None:
            return WAITS
        conversation = Conversation(name.uid, name.conversation_id)
        deleted = (await marks(self.bus, conversation)).deleted
        if not deleted and await self._cut_stands(conversation, name.path):
            return EARLY
        # After the cut: one that does not stand was settled, or its name was given up before.
        forbidden = await gone(self.bus, conversation)
        if deleted or await self._must_go(conversation, name.path, forbidden):
            await self.second.delete(info.name)
            return DELETED
        facts = await object_facts(self.second, info, self.keys.ring())
        if facts is not None and await self._is_at_home(conversation, info.name, facts, forbidden):
            await self.second.delete(info.name)
            return FOUND
        return await self._move(conversation, name, info, facts, forbidden)

    async def _move(
        self,
        conversation: Conversation,
        name: BatchName,
        info: ObjectInfo,
        facts: BatchFacts | None,
        forbidden: Container[str],
    ) -> str:
        """MOVED, FOUND or DELETED, with the second bucket's copy gone."""
        try:
            info = await self.second.head(info.name)  # listings of some backends leave metadata out
            data = await self.second.get(info.name)
        except NotFoundError:
            return FOUND  # somebody else was faster
        at_home, outcome = await self._bring(name, info, data, facts, forbidden)
        if (await marks(self.bus, conversation)).deleted:
            await self.second.delete(info.name)
            await self.first.delete(at_home)
            return DELETED
        if await self._must_go(conversation, name.path, await gone(self.bus, conversation)):
            await self._take_back(conversation, name.path, at_home, outcome)
            return DELETED
        if at_home != name.path and at_home in await gone(self.bus, conversation):
            raise TransientStoreError(
                "what was brought home got a name that is being deleted: it is brought again"
            )
        await self.second.delete(info.name)
        return outcome

    async def _bring(
        self,
        name: BatchName,
        info: ObjectInfo,
        data: bytes,
        facts: BatchFacts | None,
        forbidden: Container[str],
    ) -> tuple[str, str]:
        """Puts it into the first bucket and looks at what lies there; under which name, and whether it was there before."""
        metadata = info.metadata
        if metadata is None:
            metadata = await asyncio.to_thread(self._metadata, name, data)
        damaged: list[str] = []
        while True:
            if name.path in forbidden:
                name = replace(name, end_ms=name.end_ms + 1)
                continue
            try:
                await self.first.put(
                    name.path, data, content_type=content_type_of(name.path), metadata=metadata
                )
            except AlreadyExistsError:
                there = await self._at_home(name.path, data, facts)
                if there is not _There.SAME:
                    if there is _There.DAMAGED:
                        damaged.append(name.path)
                    name = replace(name, end_ms=name.end_ms + 1)
                    continue
                outcome = FOUND
            else:
                brought = await self.first.head(name.path)
                if brought.size != len(data) or brought.crc32c not in {None, google_crc32c.value(data)}:
                    raise ChecksumError(
                        f"move {name.path} home: what lies there is not what was brought; both are kept"
                    )
                outcome = MOVED
            # Not before its audio lies beside it: whoever was paused here may come back when another has long moved it.
            for path in damaged:
                await self.first.delete(path)
            return name.path, outcome

    async def _at_home(self, path: str, data: bytes, facts: BatchFacts | None) -> _There:
        """What has the name at home: the same runs, or, where these say nothing of runs, the same bytes."""
        try:
            there = await self.first.head(path)
            if is_just(there, data):
                return _There.SAME
            found = await object_facts(self.first, there, self.keys.ring())
            if facts is None:
                same = found is None and there.size == len(data) and await self.first.get(path) == data
                return _There.SAME if same else _There.OTHER
            if found is None or not same_runs(found, facts):
                return _There.OTHER
            batch = await whole_batch(self.first, there, self.keys.ring())
        except NotFoundError as error:
            # Being removed, or not to be seen for now. Under another name the same audio could come to lie there twice.
            raise TransientStoreError(
                "the name was taken at home, and then nothing was to be seen there: tried again"
            ) from error
        if batch is not None and same_runs(batch, facts):
            return _There.SAME
        log.error(
            "an object at home is damaged: it is brought anew", extra={"object": path.rpartition("/")[2]}
        )
        return _There.DAMAGED

    async def _is_at_home(
        self, conversation: Conversation, path: str, facts: BatchFacts, forbidden: Container[str]
    ) -> bool:
        """Whether the first bucket has all of this audio, in whichever objects but those that are about to be deleted."""
        if facts.conversation_id != conversation.cid:
            return False  # recorded into another one, and copied: its bytes say nothing here
        start_ms, end_ms = facts.spans[0].start_ms, facts.spans[-1].end_ms
        found = await stored_between(
            self.first, self.keys.ring(), conversation, start_ms, end_ms, without=forbidden
        )
        if not all(covers(found.ranges, span) for span in facts.spans):
            return False
        if path in found.damaged and await self._says_the_same(path, facts):
            await self.first.delete(path)  # left by a put, or a mover, that did not come to its end
        return True

    async def _says_the_same(self, path: str, facts: BatchFacts) -> bool:
        """Whether what has the name at home says that it holds these runs: another recording of the same instant may have it."""
        try:
            there = await self.first.head(path)
        except NotFoundError:
            return False
        return same_runs(await object_facts(self.first, there, self.keys.ring()), facts)

    async def _cut_stands(self, conversation: Conversation, path: str) -> bool:
        """Whether whoever carries out the cut of this name is not done: it puts the object at home itself, or gives its name up."""
        cut: bytes | None = await self.bus.command("HGET", self.bus.keys.conv(conversation), "cut")
        return cut is not None and decode_cut(cut).name == path

    async def _must_go(self, conversation: Conversation, path: str, forbidden: Container[str]) -> bool:
        """Whether the name is noted, and not only by a former master: a new one may have settled by what has it."""
        return path in forbidden and path in await gone(self.bus, conversation, confirmed=True)

    async def _take_back(self, conversation: Conversation, path: str, at_home: str, outcome: str) -> None:
        """The object was deleted while it was brought: it goes, and so does what was put at home, if by this mover.

        What another put there under another name is that one's to see to: it may be what a cut was settled by.
        """
        ours = at_home == path or outcome == MOVED
        if ours and at_home != path:
            await unstore(self.bus, conversation, {at_home: 0}, self.now_ms())
        await self.second.delete(path)
        if ours:
            await self.first.delete(at_home)

    def _metadata(self, name: BatchName, data: bytes) -> Mapping[str, str]:
        """What an object says of itself, for a store that keeps it, from one that does not. Blocks. Nothing where the key is missing."""
        try:
            plain = open_sealed(data, self.keys.ring(), name.uid) if name.sealed else data
            return facts_of.metadata(batch_facts(read_ogg_headers(plain)), plain)
        except (SealError, BatchFormatError, CodecError):
            return {}  # readers take the tags
