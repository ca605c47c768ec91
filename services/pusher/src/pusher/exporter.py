"""The exporter: writes what waits, or lies in the dead letters, into a folder, as the very files that the bucket would get.

It reads Redis and takes nothing out, so it can run while everything else is down, and beside a pusher; all that it leaves there is a note, so
that pushers look for these files in the bucket. What a bucket holds already it cannot know: such audio is written too. What the folder holds already is
not written again (`folder_contents`). Sealed users' audio is sealed here as it is in the bucket, also where it is no audio file.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from audiobus import dead_letters as dead
from audiobus.bus import Bus
from audiobus.conversation import Conversation
from audiobus.cut import Cut, Stored, decode_cut
from audiobus.deletions import marks
from audiobus.entry import Entry
from audiobus.entry_id import EntryId
from audiobus.errors import BadEntryError, BusError
from audiobus.exported import note
from audiobus.letter import Letter
from audiobus.state import STATE_FIELDS, ConversationState
from audiostore import sealing
from audiostore.errors import AlreadyExistsError
from audiostore.names import BatchName, parse_name
from audiostore.store import Store
from pusher.arrived import Arrived, read_entry
from pusher.batch_builder import Built
from pusher.cutter import Decision, Limits, ReadOn, Take, context_after, decide
from pusher.errors import BuildError, NoKeyError, ObjectTooLargeError
from pusher.folder_contents import FolderContents
from pusher.maker import Maker
from pusher.object_facts import object_facts, same_runs
from pusher.planner import phase_of
from pusher.protection import STANDARD, must_seal, sealed_by
from pusher.stored_ranges import covers

PAGE: Final = 96
"""Entries in one read: a minute of audio in chunks of a second, and some."""


class Exported(msgspec.Struct):
    """What came of one conversation; a line of JSON each, for whoever started the export."""

    conversation: str
    """UID/CID."""
    objects: int = 0
    seconds: float = 0.0
    found: int = 0
    """Of the objects, those that were in the folder already: they hold some of this audio."""
    letters: int = 0
    """Dead letters that were written down as they lie there."""
    unreadable: int = 0
    """Entries that do not parse: they are in no object."""
    deleted: bool = False
    """A tombstone stands: nothing was written."""
    problem: str = ""
    """Why not everything was written; or else what is to be heeded."""
    server: str = ""
    """Of a cluster, host:port: a master that does not answer, instead of a conversation."""


@dataclass(slots=True)
class _Feed:
    """The entries of a buffer up to an id, page by page."""

    bus: Bus
    conversation: Conversation
    last: EntryId
    before_ms: int
    """What was recorded before this is deleted."""
    exported: Exported
    after: EntryId | None = None
    more: bool = True

    async def page(self, *, upto: EntryId | None = None) -> list[Arrived]:
        """The next entries that parse."""
        entries = await self.bus.read(self.conversation, count=PAGE, after=self.after, last=upto or self.last)
        self.more = len(entries) == PAGE
        if entries:
            self.after = entries[-1].id
        return [one for entry in entries if (one := self._read(entry)) is not None]

    def _read(self, entry: Entry) -> Arrived | None:
        try:
            one = read_entry(self.conversation.cid, entry)
        except BadEntryError:
            self.exported.unreadable += 1
            return None
        return None if one.chunk is not None and one.chunk.at_ms < self.before_ms else one


@dataclass(slots=True)
class Exporter:
    """Writes into one folder."""

    bus: Bus
    folder: Store
    maker: Maker
    limits: Limits
    now_ms: int

    async def buffer(self, conversation: Conversation, exported: Exported) -> None:
        """Everything that waits of a conversation. `exported` is filled in as it goes.

        Raises:
            AudiostoreError, PusherError, BusError: not everything is written; what is written is whole.
        """
        # First, so that nothing is cut any more without a look for these files in the bucket.
        try:
            await note(self.bus, conversation)
        except BusError as error:
            # It takes no writes: all the more somebody may want what it has.
            unnoted = f"could not be noted in Redis ({error}): stop the pushers before these files are copied into a bucket"
        else:
            unnoted = ""
        await self._write(conversation, exported)
        exported.problem = unnoted if exported.objects else ""

    async def _write(self, conversation: Conversation, exported: Exported) -> None:
        state = await self.bus.state(conversation)
        deleted = await marks(self.bus, conversation)
        exported.deleted = deleted.deleted
        if exported.deleted or state.newest is None:
            return
        feed = _Feed(self.bus, conversation, state.newest, deleted.before_ms, exported)
        there = FolderContents(self.folder, self.maker.keys, conversation)
        if state.cut is not None:
            state = await self._standing(conversation, state, decode_cut(state.cut), feed, there)
        sealed = must_seal(await self._protection(conversation))
        state = msgspec.structs.replace(state, cut=None, flush=state.newest, flush_reason="flush")
        arrived: list[Arrived] = []
        while arrived or feed.more:
            if not arrived:
                arrived = await feed.page()
                continue
            decision = await self._decide(arrived, state, there, more=feed.more)
            if isinstance(decision, ReadOn):
                arrived += await feed.page()
            elif isinstance(decision, Take):
                took, state = await self._take(arrived, decision, state, there, exported, sealed=sealed)
                del arrived[:took]
            else:
                raise BuildError(f"entries {arrived[0].id} to {arrived[-1].id}: nothing to cut")
        _count_files(there, exported)

    async def letters(self, conversation: Conversation, ids: Collection[str], exported: Exported) -> None:
        """Dead letters of a conversation, all of them where `ids` is empty: each as it lies there, and as audio those that parse.

        Raises:
            AudiostoreError, PusherError, BusError: not everything is written; what is written is whole.
        """
        exported.deleted = (await marks(self.bus, conversation)).deleted
        if exported.deleted:
            return
        sealed = must_seal(await self._protection(conversation))
        nothing = ConversationState.from_values([None] * len(STATE_FIELDS))
        there = FolderContents(self.folder, self.maker.keys, conversation)
        async for page in self._pages(conversation, ids, exported):
            arrived = []
            for letter in page:
                await self._put_letter(conversation, letter, exported, sealed=sealed)
                try:
                    arrived.append(read_entry(conversation.cid, letter.entry))
                except BadEntryError:
                    exported.unreadable += 1
            while arrived:
                state = msgspec.structs.replace(nothing, flush=arrived[-1].id)
                take = await self._decide(arrived, state, there, more=False)
                if not isinstance(take, Take):
                    raise BuildError(f"letters {arrived[0].id} to {arrived[-1].id}: nothing to cut")
                took, _ = await self._take(arrived, take, state, there, exported, sealed=sealed)
                del arrived[:took]
        _count_files(there, exported)

    async def _pages(
        self, conversation: Conversation, ids: Collection[str], exported: Exported
    ) -> AsyncIterator[list[Letter]]:
        page: list[Letter] = []
        async for one in dead.look(self.bus, conversation):
            if ids and one.id not in ids:
                continue
            if one.letter is not None:
                page.append(one.letter)
            else:
                exported.problem = f"{one.id} is no dead letter, and is left out: {one.defect}"
            if len(page) == PAGE:
                yield page
                page = []
        yield page

    async def _decide(
        self, arrived: Sequence[Arrived], state: ConversationState, there: FolderContents, *, more: bool
    ) -> Decision:
        """The cutter's answer, what lies in the folder already left out."""
        while True:
            decision = decide(
                arrived,
                state,
                more=more,
                now_ms=self.now_ms,
                limits=self.limits,
                phase=phase_of(there.conversation),
                exclude=there.exclude,
            )
            if not isinstance(decision, Take) or decision.start_ms is None or decision.end_ms is None:
                return decision
            if not await there.look(decision.start_ms, decision.end_ms):
                return decision

    async def _standing(
        self,
        conversation: Conversation,
        state: ConversationState,
        cut: Cut,
        feed: _Feed,
        there: FolderContents,
    ) -> ConversationState:
        """The object of the cut that stands, as whoever wrote it down would make it; nothing where the folder has some of its audio already."""
        entries: list[Arrived] = []
        unreadable = feed.exported.unreadable
        while feed.more:
            entries += await feed.page(upto=cut.last_id)
        feed.more, feed.after = True, cut.last_id
        if not entries:
            return state
        there.elsewhere = cut.exclude
        spans = [one.audio for one in entries if one.audio and not covers(cut.exclude, one.audio)]
        if spans:
            await there.look(min(span.start_ms for span in spans), max(span.end_ms for span in spans))
        if any(there.has(span) for span in spans):
            # Its object would hold that once more: only the rest is written. A pusher that finds all of it in the bucket settles the cut.
            feed.after, feed.exported.unreadable = None, unreadable
            return state
        sealed = sealed_by(cut)
        try:
            built = await self._make(
                conversation, entries, state, cut.exclude, context_after(cut.reason), sealed=sealed
            )
        except ObjectTooLargeError:
            # A pusher gives it up, too, and cuts its entries anew.
            feed.after, feed.exported.unreadable = None, unreadable
            return state
        await self._put(cut.name, built, there, feed.exported)
        return msgspec.structs.replace(state, settled=cut.last_id, preroll=built.preroll)

    async def _take(
        self,
        arrived: Sequence[Arrived],
        take: Take,
        state: ConversationState,
        there: FolderContents,
        exported: Exported,
        *,
        sealed: bool,
    ) -> tuple[int, ConversationState]:
        """Writes the next object; how many entries it took, and what the one after it goes on from."""
        count, conversation = take.count, there.conversation
        while True:
            entries = arrived[:count]
            try:
                built = await self._make(
                    conversation, entries, state, there.exclude, take.context_samples, sealed=sealed
                )
            except BuildError:
                # One of these entries is at fault: fewer and fewer are tried until it stands alone, and is left out.
                if count == 1:
                    exported.unreadable += 1
                    return 1, state
                count //= 2
                continue
            if built.batch is not None:
                spans = built.batch.spans
                name = BatchName(
                    conversation.uid, conversation.cid, spans[0].start_ms, spans[-1].end_ms, sealed=sealed
                )
                await self._put(name.path, built, there, exported)
            found = sum(one.audio.samples for one in entries if one.audio and there.has(one.audio))
            exported.seconds += found / 48_000
            return count, msgspec.structs.replace(state, settled=entries[-1].id, preroll=built.preroll)

    async def _make(
        self,
        conversation: Conversation,
        entries: Sequence[Arrived],
        state: ConversationState,
        exclude: Sequence[Stored],
        context_samples: int,
        *,
        sealed: bool,
    ) -> Built:
        return await self.maker.make(
            conversation, entries, state.preroll, exclude, sealed=sealed, context_samples=context_samples
        )

    async def _put(self, path: str, built: Built, there: FolderContents, exported: Exported) -> None:
        """Create-only: an object with the same runs that is there stays; one with other runs gets another name."""
        name = parse_name(path)
        if built.batch is None or name is None:
            return
        while True:
            try:
                await self.folder.put(
                    name.path, built.data, content_type=built.content_type, metadata=built.metadata
                )
            except AlreadyExistsError:
                info = await self.folder.head(name.path)
                if not same_runs(await object_facts(self.folder, info, self.maker.keys.ring()), built.batch):
                    name = replace(name, end_ms=name.end_ms + 1)
                    continue
                exported.found += 1
            there.written.add(name.path)
            exported.objects += 1
            exported.seconds += sum(span.samples for span in built.batch.spans) / 48_000
            return

    async def _put_letter(
        self, conversation: Conversation, letter: Letter, exported: Exported, *, sealed: bool
    ) -> None:
        """The letter as it lies there: what is known of it as JSON, and the bytes of its entry, sealed where audio is."""
        path = f"dead/{conversation.uid}/{conversation.cid}/{letter.entry.id}"
        about = {key: value for key, value in letter.content.items() if key != "fields"}
        data = msgspec.msgpack.encode(dict(letter.entry.fields))
        suffix = "msgpack"
        if sealed:
            ring = self.maker.keys.ring()
            if not ring:
                raise NoKeyError(
                    "the letter must be sealed and there is no key: set TAPEDECK_ENCRYPTION_KEYS"
                )
            data, suffix = sealing.seal(data, ring, conversation.uid), "enc"
        for name, content in ((f"{path}.{suffix}", data), (f"{path}.json", msgspec.json.encode(about))):
            try:
                await self.folder.put(name, content, content_type="application/octet-stream", metadata={})
            except AlreadyExistsError:
                continue  # written by an export before
        exported.letters += 1

    async def _protection(self, conversation: Conversation) -> str:
        return (await self.bus.user_settings(conversation.uid)).get("protection", STANDARD)


def _count_files(there: FolderContents, exported: Exported) -> None:
    """Counts those that were in the folder, and hold what would have been written."""
    exported.objects += len(there.names)
    exported.found += len(there.names)
