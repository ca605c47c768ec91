"""The bucket as storage-api reads it: which objects a conversation has, what they hold, and one of them with its audio.

Owns listing and fetching, and what is remembered of both. What the bytes say is `reading`'s business, in the workers' threads. What
cannot be read is a row with a reason, never an exception for the whole conversation. Where there are two buckets, and the object of the first
cannot be read, the one of its name in the second takes its place until that is moved home; where they hold other runs, both are listed.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

from audiostore.batch import Batch, BatchFacts
from audiostore.errors import TooLargeError
from audiostore.key_ring import KeyRing
from audiostore.legacy import AudioName, parse_audio_name, samples_by_size
from audiostore.names import ROOT, conversation_prefix, user_prefix
from audiostore.paired_store import PairedStore
from audiostore.store import ObjectInfo, Store, check_size, with_metadata
from storage_api import reading
from storage_api.errors import SourceGoneError, UnreadableError
from storage_api.fetching import Fetching
from storage_api.keys import Keys
from storage_api.listing import LISTINGS, PARTS, Earlier, Stretch, list_objects
from storage_api.metrics import StorageMetrics
from storage_api.stored_object import OlderFacts, StoredObject, Verdict
from storage_api.turns import RUNNERS, by_turns, side_by_side
from storage_api.verdicts import Verdicts
from storage_api.workers import Workers

T = TypeVar("T")
How: TypeAlias = Callable[[AudioName, bytes, KeyRing], T]
"""What is made of an object's name and its bytes, with the keys."""


@dataclass(frozen=True, slots=True)
class _Shelf:
    """A bucket, or two that look like one, and what is known of the objects there."""

    store: Store
    verdicts: Verdicts


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of a listing."""

    objects: list[StoredObject]
    """In its order; those that are gone are left out."""
    gone: frozenset[str]
    """Names of objects, or of those beside them, that were not there any more: their audio may lie under other names by now."""
    before_ms: int | None = None
    """All that begin before this time, unix ms, are among them; None where all are."""


class Bucket:
    """Reads of one store."""

    def __init__(
        self,
        store: Store,
        metrics: StorageMetrics,
        workers: Workers,
        keys: Keys | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._workers = workers
        self._metrics = metrics
        self._keys = keys or Keys()
        self._fetching = Fetching(metrics.bucket_request, clock)
        self._parts = asyncio.Semaphore(PARTS)
        self._earlier = Earlier()
        first, second = (store.first, store.second) if isinstance(store, PairedStore) else (store, store)
        self._usual = _Shelf(store, Verdicts(metrics, clock))
        self._first = _Shelf(first, Verdicts(metrics, clock))
        """For what has another beside it: where a read of the first fails, the other one must not be taken for it, and by the time that one is
        listed alone, it may be the other that has come to its place."""
        self._beside = _Shelf(second, Verdicts(metrics, clock))
        """For what a listing names as `beside`."""

    @property
    def store(self) -> Store:
        """What it reads from: for whoever puts or deletes."""
        return self._store

    @property
    def keys(self) -> Keys:
        """What opens and seals."""
        return self._keys

    async def ping(self) -> None:
        """Answers if the bucket does. StoreError."""
        async for _ in self._store.list_folders(ROOT):
            return

    async def names(self, uid: str) -> AsyncIterator[tuple[AudioName, ObjectInfo, bool]]:
        """Every object of the user whose name says that it is audio, in name order, and whether it was looked at before. StoreError."""
        async for info in self._listed(user_prefix(uid)):
            name = parse_audio_name(info.name)
            if name is not None:
                yield name, info, (self._usual if info.beside is None else self._first).verdicts.knows(info)

    async def has_any(self, uid: str, conversation_id: str) -> bool:
        """Whether there is an object of the conversation. StoreError."""
        async for info in self._listed(conversation_prefix(uid, conversation_id)):
            if parse_audio_name(info.name) is not None:
                return True
        return False

    async def objects(self, uid: str, conversation_id: str) -> list[StoredObject]:
        """The conversation's objects in name order, with their facts; listed one after another. StoreError."""
        return (await self.some(uid, conversation_id, None, in_parts=False)).objects

    async def some(self, uid: str, cid: str, stretch: Stretch | None, *, in_parts: bool) -> Judged:
        """Of these objects those of a stretch, all where it is None; a long listing in parts side by side, or one name after another. StoreError.

        What vanishes meanwhile was deleted, merged or moved, and what holds its audio now may have been put after its name was passed: so it is
        listed again, until nothing else vanishes.
        """
        judged, vanished = await self._list(uid, cid, stretch, in_parts=in_parts), frozenset[str]()
        for _ in range(LISTINGS - 1):
            if judged.gone <= vanished:
                break
            vanished |= judged.gone
            judged = await self._list(uid, cid, stretch, in_parts=in_parts)
        return judged

    async def _list(self, uid: str, cid: str, stretch: Stretch | None, *, in_parts: bool) -> Judged:
        prefix = conversation_prefix(uid, cid)
        with self._metrics.bucket_request("list"):
            places = self._parts if in_parts else None
            listing = await list_objects(self._store, prefix, stretch, places, self._earlier)
        return replace(await self.with_facts(listing.listed), before_ms=listing.before_ms)

    async def with_facts(self, listed: list[tuple[AudioName, ObjectInfo]]) -> Judged:
        """These objects with their facts. StoreError."""
        alone, paired = [], []
        async for some in by_turns(listed):
            for one in some:
                if one[1].beside is None:
                    alone.append(one)
                else:
                    paired.append(one)
            self._first.verdicts.hand_over(
                [info for _, info in some if info.beside is None], self._usual.verdicts
            )
        verdicts = await self._judged(self._usual, alone)
        verdicts |= await self._judged(self._first, paired)
        doubled = [
            (name, info.beside)
            for name, info in paired
            if info.beside is not None
            and ((verdict := verdicts[info.name]) is None or verdict.reason or not _alike(info, info.beside))
        ]
        beside = await self._judged(self._beside, doubled)
        found, gone = [], {name for name, verdict in (verdicts | beside).items() if verdict is None}
        async for some in by_turns(listed):
            for name, info in some:
                verdict = verdicts[info.name]
                if info.beside is None:
                    found += [] if verdict is None else [StoredObject(info, name, verdict)]
                else:
                    found += _of_name(info, name, verdict, beside.get(info.name))
        return Judged(found, frozenset(gone))

    async def _judged(
        self, shelf: _Shelf, listed: list[tuple[AudioName, ObjectInfo]]
    ) -> dict[str, Verdict | None]:
        """By name what each of these objects holds; None where it is gone. StoreError."""
        shelf.verdicts.keys_are(self._keys.version)
        # Taken once: what is looked at now may push others out of the memory.
        verdicts: dict[str, Verdict | None] = {}
        unknown = []
        async for some in by_turns(listed):
            for one in some:
                info = one[1]
                verdict = verdicts[info.name] = shelf.verdicts.recall(info)
                if verdict is None:
                    unknown.append(one)

        async def look(one: tuple[AudioName, ObjectInfo]) -> None:
            name, info = one
            verdicts[info.name] = await self._look(shelf, name, info)

        opened = []
        async for some in by_turns(await _with_metadata(shelf.store, unknown), RUNNERS):
            for one in some:
                verdict = verdicts[one[1].name] = _told(shelf.verdicts, *one)
                if verdict is None:
                    opened.append(one)
        await side_by_side(opened, look)
        return verdicts

    async def batch(self, stored: StoredObject) -> Batch:
        """The whole batch that an object of ours holds.

        SourceGoneError: the object is gone. UnreadableError: it cannot be read, and nothing beside it holds the same; remembered. StoreError.
        """
        return await self.opened(stored, reading.open_batch)

    async def opened(self, stored: StoredObject, how: How[T], quick: How[T | None] | None = None) -> T:
        """What `how` makes of a whole object of ours, in a thread; or `quick`, on the event loop, where that makes something.

        Errors as with `batch`, and those of `how`.
        """
        try:
            return await self._open(stored, how, quick)
        except UnreadableError as error:
            if stored.second or stored.info.beside is None:
                raise self._refused(stored, error) from error
            if not error.passing:
                self._refused(stored, error)
            # Its head looked well.
            if await self._beside_it(stored) is None:
                raise self._refused(stored, error) from error
            return await self.opened(replace(stored, second=True), how, quick)

    async def _beside_it(self, stored: StoredObject) -> Batch | None:
        """The same batch out of what lies beside the object; None where that cannot be read, or holds another. SourceGoneError; StoreError."""
        try:
            batch = await self.batch(replace(stored, second=True))
        except UnreadableError:
            return None
        facts = stored.verdict.facts
        return batch if isinstance(facts, BatchFacts) and reading.holds(batch, facts) else None

    async def _open(self, stored: StoredObject, how: How[T], quick: How[T | None] | None) -> T:
        shelf, info = self._where(stored)
        async with self._fetching.whole(shelf.store, info, placed=False) as data:
            given = stored.name, data, self._keys.ring
        made = await self._workers.run_here(quick, *given) if quick else None
        return await self._workers.run(how, *given) if made is None else made

    async def older(self, stored: StoredObject) -> bytes:
        """All PCM of an older object, s16le mono at 16 kHz. Errors as with `batch`; nothing beside it is asked."""
        shelf, info = self._where(stored)
        try:
            async with self._fetching.whole(shelf.store, info) as data:
                return await self._workers.run(reading.older_pcm, stored.name, data, self._keys.legacy_secret)
        except UnreadableError as error:
            raise self._refused(stored, error) from error

    def refuse(self, stored: StoredObject, reason: str, detail: str) -> UnreadableError:
        """Remembers that the object cannot be read; what its head said of its time stays."""
        return self._refused(stored, UnreadableError(stored.info.name, reason, detail))

    def doubt(self, stored: StoredObject) -> None:
        """Has an object that cannot be read looked at again at the next listing."""
        shelf, info = self._where(stored)
        shelf.verdicts.doubt(info)

    def _refused(self, stored: StoredObject, error: UnreadableError) -> UnreadableError:
        shelf, info = self._where(stored)
        known = shelf.verdicts.recall(info)
        verdict = Verdict(known.facts if known else None, error.reason, error.passing)
        shelf.verdicts.remember(info, verdict, error.detail)
        return error

    def _where(self, stored: StoredObject) -> tuple[_Shelf, ObjectInfo]:
        """Where the object lies that is meant, and what was listed of it."""
        beside = stored.info.beside
        if beside is None:
            return self._usual, stored.info
        return (self._beside, beside) if stored.second else (self._first, stored.info)

    async def _look(self, shelf: _Shelf, name: AudioName, info: ObjectInfo) -> Verdict | None:
        """What the object holds, as far as that is needed to place it; None where it is gone."""
        try:
            verdict, detail = await self._judge(shelf.store, name, info)
            if verdict.reason is None and shelf.verdicts.in_doubt(info):
                verdict, detail = await self._judge_whole(shelf.store, name, info, verdict)
        except SourceGoneError:
            return None
        return shelf.verdicts.remember(info, verdict, f"{info.name}: {detail}")

    async def _judge(self, store: Store, name: AudioName, info: ObjectInfo) -> tuple[Verdict, str]:
        """What can be said of it with the fewest bytes, and what is wrong with it. SourceGoneError; StoreError."""
        told = None
        try:
            if name.is_batch:
                told = reading.facts_in_metadata(name, info.metadata)
                if told is not None and not name.sealed:
                    return _sized(info, Verdict(told))
                size = reading.head_bytes(name, told)
                head = await self._fetching.beginning(store, info.name, size)
                judged = (name, head, told, self._keys)
                if name.sealed:
                    verdict = await self._workers.run(reading.judge_head, *judged)
                else:
                    verdict = reading.judge_head(*judged)
                if verdict is not None:
                    return _sized(info, verdict)
            return await self._judge_older(store, name, info)
        except UnreadableError as error:
            return Verdict(told, error.reason, error.passing), error.detail

    async def _judge_whole(
        self, store: Store, name: AudioName, info: ObjectInfo, verdict: Verdict
    ) -> tuple[Verdict, str]:
        """Whether the object holds what its head says. SourceGoneError; StoreError."""
        try:
            async with self._fetching.whole(store, info) as data:
                return await self._workers.run(reading.judge_whole, name, data, verdict, self._keys)
        except UnreadableError as error:
            return Verdict(verdict.facts, error.reason, error.passing), error.detail

    async def _judge_older(self, store: Store, name: AudioName, info: ObjectInfo) -> tuple[Verdict, str]:
        """The same for one in an older format: all but raw PCM must be read for it."""
        samples = samples_by_size(name, info.size) or 0
        facts = OlderFacts.of(name, samples)
        verdict, detail = _sized(info, Verdict(facts))
        if verdict.reason is not None or (not name.sealed and name.codec == "pcm" and samples):
            return verdict, detail
        if name.sealed and not self._keys.legacy_secret:
            detail = "sealed in an older format, and there is no TAPEDECK_LEGACY_SECRET"
            return Verdict(facts, "no_key"), detail
        try:
            async with self._fetching.whole(store, info) as data:
                return await self._workers.run(reading.judge_older, name, data, self._keys.legacy_secret)
        except UnreadableError as error:
            return Verdict(facts, error.reason, error.passing), error.detail

    async def _listed(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        with self._metrics.bucket_request("list"):
            async for info in self._store.list(prefix):
                yield info


async def _with_metadata(
    store: Store, listed: list[tuple[AudioName, ObjectInfo]]
) -> list[tuple[AudioName, ObjectInfo]]:
    """The same, with the metadata of batches where the store tells them only when asked. StoreError."""
    asked = [at for at, (name, info) in enumerate(listed) if name.is_batch and info.metadata is None]
    told = await with_metadata(store, [listed[at][1] for at in asked])
    found = listed.copy()
    for at, info in zip(asked, told, strict=True):
        found[at] = listed[at][0], info
    return found


def _told(verdicts: Verdicts, name: AudioName, info: ObjectInfo) -> Verdict | None:
    """What metadata alone say of an object, remembered; None where it must be looked at."""
    if not info.metadata or not name.is_batch or name.sealed or verdicts.in_doubt(info):
        return None
    try:
        facts = reading.facts_in_metadata(name, info.metadata)
    except UnreadableError:
        return None
    if facts is None:
        return None
    verdict, detail = _sized(info, Verdict(facts))
    return verdicts.remember(info, verdict, f"{info.name}: {detail}")


def _alike(info: ObjectInfo, beside: ObjectInfo) -> bool:
    """Whether size and checksum tell that both hold the same."""
    return info.crc32c is not None and (info.size, info.crc32c) == (beside.size, beside.crc32c)


def _of_name(
    info: ObjectInfo, name: AudioName, verdict: Verdict | None, other: Verdict | None
) -> list[StoredObject]:
    """What is listed of a name: the first bucket's object, the other one in its place, or both where they are two recordings."""
    found = [StoredObject(info, name, verdict)] if verdict is not None else []
    if other is None:
        return found
    beside = StoredObject(info, name, other, second=True)
    if verdict is not None and _apart(verdict, other):
        return [*found, beside]
    if verdict is not None and verdict.reason is None:
        return found
    return [beside] if other.reason is None else found


def _apart(verdict: Verdict, other: Verdict) -> bool:
    """Whether two objects of one name hold other runs, as far as they can be told: batches of ours."""
    facts, others = verdict.facts, other.facts
    return isinstance(facts, BatchFacts) and isinstance(others, BatchFacts) and facts.spans != others.spans


def _sized(info: ObjectInfo, verdict: Verdict) -> tuple[Verdict, str]:
    """The verdict, or that the object is too large to be read, which its size tells: it must not be found out while it is played."""
    try:
        check_size(info.name, info.size)
    except TooLargeError as error:
        return Verdict(verdict.facts, "too_large"), str(error)
    return verdict, ""
