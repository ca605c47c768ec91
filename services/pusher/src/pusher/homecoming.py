"""Moving home: one batch of the second bucket goes to the first, exactly once.

Owns the order: look whether it is deleted, or at home already; put it into the first, create-only; look again whether it was deleted meanwhile; delete it
in the second, last, and only where the first has this audio, whole. Until then the second's copy is the one that is known to be there, and readers play it.

**Nothing is done because something looks damaged.** What came over a network may be wrong where the object is not. An object at home that says that it
holds these runs, and is not whole as read twice, does not count; the batch stays in the second bucket, whoever looks is told (`DamagedError`), and
the next sweep looks again. It is neither brought under another name nor is a name given up here, so nobody can have relied on what goes. Two
objects at home with the same runs are left as they are: readers play a byte once.

What is deleted here is one of three things. The second's copy, once the audio is at home or deleted. What has a name that is noted (`gone`): so does everybody
who looks. And what this mover itself put under another name, because other runs have its own, if its own is noted meanwhile: that is noted, too, before it goes.

Why that holds, whoever else is at work:

- *A kill* anywhere before the last delete leaves the batch in the second, and perhaps at home, too: whoever comes next finds it there, and deletes the rest.
- *Another mover* (a lease that ran out): the puts are create-only, so the slower one finds the same runs under the same name. Its deletes are of a copy whose
  audio is at home. What it put under another name the faster one may have found and relied on: it goes only with the audio, when that was deleted.
- *A pusher* that carries out a cut of this name may give it up with its name. So nothing moves while such a cut stands, of the buffer or of the dead
  letters, and the names are read after the cut: one that does not stand is settled, or its name is noted by then. The same is asked of every other name by which
  the audio counts as being at home, once it was found there: what a cut that stands speaks of may still be given up, with its name. Afterwards a cut stands again only if
  Redis went back (it does not wait for replicas), or if another recording gets the very same start and end. Then the name can be given up while the batch is on its way,
  which speaks of what has just that name: what lies under another stays, for somebody may have settled by it.
- *A deletion* notes the name first, then lists the buckets, and deletes. Noted before the first look: the batch is deleted. Noted before the put: the look after
  the put sees it. Noted after that look: the listing shows what was put. Noted before the second's copy is gone, and listed before the put: a last look,
  after that delete, where another name was taken. A conversation's tombstone is looked at on both sides of the put, and its prefix is swept.
- *Somebody who cuts a part out* puts the rest under another name, and may take it away again: what has an announced name (`audiobus.replacing`) does not count as
  being at home. Nothing is brought under such a name, nor is what has one moved; that is read before the put, and after it.
- *A late put*, of a mover or a pusher that stood still: of a noted name it is swept for ten minutes, and whoever made it looks at the names; of another
  it is the same object under the same name, whose copy in the second is found to be at home.
- *A former master* of Redis: notes count once as many replicas as are asked for have them (`confirmed`).

What a user's tombstone covers is told by when chunks were made, which no object says: of these, whoever set it notes and deletes the objects
(docs/conservation.md). What stays open: killed, or refused, between a put under another name and the look after it, while the batch is deleted, a mover leaves that copy.
"""

import asyncio
import time
from collections.abc import Callable, Container, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

import google_crc32c

from audiobus.bus import Bus
from audiobus.conversation import Conversation
from audiobus.deletions import gone, marks, noted, unstore
from audiobus.named_cuts import named_by_cuts
from audiobus.replacing import Replacing, not_counting
from audiocodec.errors import CodecError
from audiostore.batch import BatchFacts, metadata_of
from audiostore.errors import (
    AlreadyExistsError,
    BatchFormatError,
    ChecksumError,
    NotFoundError,
    SealError,
    TooLargeError,
    TransientStoreError,
)
from audiostore.facts import KEY
from audiostore.key_ring import KeySource
from audiostore.names import BatchName, parse_name
from audiostore.paired_store import content_type_of
from audiostore.sealing import open_sealed, sealed_key_id
from audiostore.store import ObjectInfo, Store
from pusher.bucket_search import holds
from pusher.derived import delete_for_good
from pusher.errors import CannotTellError, DamagedError
from pusher.object_facts import READS, object_facts, same_runs
from pusher.wholeness import batch_in, is_just, opens_not, whole_batch

MOVED: Final = "moved"
FOUND: Final = "found"
DELETED: Final = "deleted"
FAILED: Final = "failed"
DAMAGED: Final = "damaged"
WAITS: Final = "waits"
EARLY: Final = "early"
HOMECOMINGS: Final = (MOVED, FOUND, DELETED, FAILED, DAMAGED, WAITS, EARLY)
"""What came of an object: copied; its audio was at home already; it is deleted; a bucket failed; an object looks damaged; a key is missing; its cut still stands."""


@dataclass(frozen=True, slots=True)
class _LeftOut(Container[str]):
    """Names at home that do not count: those that are about to be deleted, and, of audio that is to be sealed, what lies there in the clear."""

    forbidden: Container[str]
    sealed: bool

    def __contains__(self, path: object) -> bool:
        name = parse_name(str(path))
        return path in self.forbidden or (self.sealed and not (name is not None and name.sealed))


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
            DamagedError: an object looks damaged; the second's copy stays. Do the same again.
            CannotTellError: a key is missing, or not the right one, without which nobody can tell whether the first bucket has this audio.
            BusError, BadEntryError: nobody can tell whether it is deleted, or settled.
        """
        name = parse_name(info.name)
        if name is None:
            return WAITS
        conversation = Conversation(name.uid, name.conversation_id)
        deleted = (await marks(self.bus, conversation)).deleted
        if not deleted and name.path in await named_by_cuts(self.bus, conversation):
            return EARLY
        # After the cut: one that does not stand was settled, or its name was given up before.
        forbidden = await not_counting(self.bus, conversation)
        if deleted or await self._must_go(conversation, name.path, forbidden):
            await delete_for_good(info.name, self.second, self.first)
            return DELETED
        facts = await self._says(info)
        held = None if facts is None else await self._at_home(conversation, name, facts, forbidden)
        # Its own name is announced: what has it may be taken away again.
        if name.path in forbidden or (held is not None and not await self._will_stay(conversation, held)):
            return EARLY
        if held is not None:
            await self._leave(info.name, held)
            return FOUND
        return await self._move(conversation, name, info, facts, forbidden)

    async def _says(self, info: ObjectInfo) -> BatchFacts | None:
        """What the object in the second bucket says of itself: also in its metadata, where a listing leaves these out and its head is damaged."""
        facts = await object_facts(self.second, info, self.keys.ring())
        if facts is None and info.metadata is None:
            with suppress(NotFoundError):
                told = await self.second.head(info.name)
                facts = await object_facts(self.second, told, self.keys.ring())
        return facts

    async def _at_home(
        self, conversation: Conversation, name: BatchName, facts: BatchFacts, forbidden: Container[str]
    ) -> tuple[str, ...] | None:
        """The names of whole objects of the first bucket that together hold all of this audio; None where they do not."""
        if facts.conversation_id != conversation.cid:
            return None  # recorded into another one, and copied: its bytes say nothing here
        without = _LeftOut(forbidden, name.sealed)
        return await holds(self.first, self.keys.ring(), conversation, tuple(facts.spans), without=without)

    async def _will_stay(self, conversation: Conversation, at_home: Iterable[str]) -> bool:
        """Whether nobody is about to give up, or may take away, what has one of these names, or has done so since the names were read.

        The cuts first: one that does not stand is settled, or its name is noted by then.
        """
        cuts = await named_by_cuts(self.bus, conversation)
        doubtful = await not_counting(self.bus, conversation)
        return not any(path in cuts or path in doubtful for path in at_home)

    async def _move(
        self,
        conversation: Conversation,
        name: BatchName,
        info: ObjectInfo,
        facts: BatchFacts | None,
        forbidden: Container[str],
    ) -> str:
        """MOVED, FOUND or DELETED, with the second bucket's copy gone; or EARLY."""
        try:
            info = await self.second.head(info.name)  # listings of some backends leave metadata out
            if facts is None and await object_facts(self.second, info, self.keys.ring()) is not None:
                raise TransientStoreError(
                    "a batch in the second bucket said nothing of what it holds, and then it did: looked for at home first"
                )
            data = await self._fetched(info, facts)
        except NotFoundError:
            return FOUND  # somebody else was faster
        at_home, outcome = await self._bring(name, info, data, facts, forbidden)
        # Before the names are read: a cut that does not stand is settled, or its name is noted by then. So with what is announced no more.
        unsettled = at_home != name.path and await self._is_unsettled(conversation, at_home)
        if (await marks(self.bus, conversation)).deleted:
            await delete_for_good(info.name, self.second, self.first)
            await delete_for_good(at_home, self.first, self.second)
            return DELETED
        if await self._must_not_stay(conversation, name.path, at_home):
            await self._take_back(conversation, name.path, at_home, outcome)
            return DELETED
        if at_home != name.path and at_home in await gone(self.bus, conversation):
            raise TransientStoreError(
                "what was brought home got a name that is being deleted: it is brought again"
            )
        if unsettled:
            return EARLY
        await self._leave(info.name, (at_home,))
        # Whoever deletes it may have listed before it was brought, and notes it only now.
        if at_home != name.path and await self._must_not_stay(conversation, name.path, at_home):
            await self._take_back(conversation, name.path, at_home, outcome)
            return DELETED
        return outcome

    async def _is_unsettled(self, conversation: Conversation, at_home: str) -> bool:
        """Whether a cut speaks of that name, or it is announced."""
        if at_home in await named_by_cuts(self.bus, conversation):
            return True
        return at_home in await Replacing(self.bus, conversation).unfinished()

    async def _leave(self, path: str, at_home: Container[str]) -> None:
        """Deletes the second bucket's copy of what lies at home; under other names nobody asks for its waveform any more."""
        if path in at_home:
            await self.second.delete(path)
        else:
            await delete_for_good(path, self.second, self.first)

    async def _fetched(self, info: ObjectInfo, facts: BatchFacts | None) -> bytes:
        """The bytes of the second bucket's object: all that it says it holds is in them."""
        for _ in range(READS):
            try:
                data = await self.second.get(info.name)
            except ChecksumError:
                continue
            if facts is None or await self._is_whole(info, data, facts):
                return data
            await self._check_keys(info, data, "in the second bucket")
        raise DamagedError(
            "it looks damaged in the second bucket, and the first has not all of its audio: if that stays so, keep a copy of it and of "
            "what can be rescued, and delete it there"
        )

    async def _check_keys(self, info: ObjectInfo, data: bytes, where: str) -> None:
        """What is sealed is not told as damaged where the key may be what is wrong.

        Raises:
            CannotTellError: it may be.
        """
        if await asyncio.to_thread(opens_not, info, data, self.keys.ring()):
            raise CannotTellError(
                f"{info.name.rpartition('/')[2]} {where} does not open with the key that it names, although the store vouches for its bytes: check "
                "the keys first (`tapedeck keys check`), for the ring may have other bytes under that id; if the key is right, the object is damaged"
            )

    async def _is_whole(self, info: ObjectInfo, data: bytes, facts: BatchFacts) -> bool:
        try:
            return same_runs(await asyncio.to_thread(batch_in, info, data, self.keys.ring()), facts)
        except CannotTellError:
            if is_just(info, data):
                return True  # its bytes as they lie there, whatever they are: they need not be opened
            raise

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
        while True:
            if name.path not in forbidden:
                if await self._put(name.path, data, metadata):
                    break
                if await self._same_at_home(name.path, data, facts):
                    return name.path, FOUND
            name = replace(name, end_ms=name.end_ms + 1)
        brought = await self.first.head(name.path)
        if brought.size != len(data) or brought.crc32c not in {None, google_crc32c.value(data)}:
            raise ChecksumError(
                f"move {name.path} home: what lies there is not what was brought; both are kept"
            )
        return name.path, MOVED

    async def _put(self, path: str, data: bytes, metadata: Mapping[str, str]) -> bool:
        """Whether it lies in the first bucket now because of this; false where the name is taken.

        Looks before it puts: a bucket that takes nothing new may still say at once that a name is taken, and would seem to work.
        """
        try:
            await self.first.head(path)
        except NotFoundError:
            try:
                await self.first.put(path, data, content_type=content_type_of(path), metadata=metadata)
            except AlreadyExistsError:
                return False
            return True
        return False

    async def _same_at_home(self, path: str, data: bytes, facts: BatchFacts | None) -> bool:
        """Whether what has the name at home holds the same runs, or, where these say nothing of runs, the same bytes. Else it is other audio of this instant.

        Raises:
            DamagedError: it says so, and does not.
        """
        try:
            there = await self.first.head(path)
            if is_just(there, data):
                return True
            found = await object_facts(self.first, there, self.keys.ring())
            if facts is None:
                return found is None and there.size == len(data) and await self.first.get(path) == data
            if found is None or not same_runs(found, facts):
                return False
            batch = await whole_batch(self.first, there, self.keys.ring())
            if batch is None and (name := parse_name(path)) is not None and name.sealed:
                with suppress(ChecksumError, TooLargeError):
                    await self._check_keys(there, await self.first.get(path), "in the first bucket")
        except NotFoundError as error:
            # Being removed, or not to be seen for now. Under another name the same audio could come to lie there twice.
            raise TransientStoreError(
                "the name was taken at home, and then nothing was to be seen there: tried again"
            ) from error
        if batch is not None and same_runs(batch, facts):
            return True
        raise DamagedError(
            f"{path.rpartition('/')[2]} in the first bucket looks damaged. If that stays so: copy the second bucket's object aside, see that it "
            "still lies in the second, only then delete the one in the first, and keep the copy until the batch has come home"
        )

    async def _must_go(self, conversation: Conversation, path: str, forbidden: Container[str]) -> bool:
        """Whether the name is noted, and not only by a former master: a new one may have settled by what has it."""
        return path in forbidden and path in await gone(self.bus, conversation, confirmed=True)

    async def _must_not_stay(self, conversation: Conversation, path: str, at_home: str) -> bool:
        """Whether what was brought of `path` is to go again: it is deleted by now, or just the name that it has was given up."""
        if path not in await gone(self.bus, conversation):
            return False
        note = (await noted(self.bus, conversation, confirmed=True)).get(path)
        return note is not None and (at_home == path or not note.given_up)

    async def _take_back(self, conversation: Conversation, path: str, at_home: str, outcome: str) -> None:
        """The object was deleted while it was brought: it goes, and so does what was put at home, if by this mover.

        What another put there under another name is that one's to see to: it may be what a cut was settled by.
        """
        ours = at_home == path or outcome == MOVED
        if ours and at_home != path:
            await unstore(self.bus, conversation, {at_home: 0}, self.now_ms())
        await delete_for_good(path, self.second, self.first)
        if ours:
            await delete_for_good(at_home, self.first, self.second)

    def _metadata(self, name: BatchName, data: bytes) -> Mapping[str, str]:
        """What an object says of itself, for a store that keeps it, from one that does not. Blocks. Nothing where the key is missing."""
        try:
            plain = open_sealed(data, self.keys.ring(), name.uid) if name.sealed else data
            says = metadata_of(plain)
            return says | {KEY: sealed_key_id(data)} if name.sealed else says
        except (SealError, BatchFormatError, CodecError):
            return {}  # readers take the tags
