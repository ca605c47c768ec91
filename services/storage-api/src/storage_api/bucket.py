"""The bucket as storage-api reads it: which objects a conversation has, what they hold, and one of them with its audio.

Owns listing and fetching, and what is remembered of both. What the bytes say is `reading`'s business, in the workers' threads. What
cannot be read is a row with a reason, never an exception for the whole conversation.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from audiostore.batch import Batch
from audiostore.errors import NotFoundError, StoreError, TooLargeError
from audiostore.legacy import AudioName, parse_audio_name, samples_by_size
from audiostore.names import ROOT, conversation_prefix, user_prefix
from audiostore.store import ObjectInfo, Store, check_size
from storage_api import reading
from storage_api.errors import SourceGoneError, UnreadableError
from storage_api.keys import Keys
from storage_api.metrics import StorageMetrics
from storage_api.stored_object import OlderFacts, StoredObject, Verdict
from storage_api.verdicts import Verdicts
from storage_api.workers import Workers

T = TypeVar("T")

LOOKS_AT_ONCE: Final = 16
"""Objects that are looked at, or older ones that are read, at the same time, over all requests."""
LARGE_BYTES: Final = 4 * 1024 * 1024
"""Larger ones are read one after another, so that what is in memory at once stays small: they may have 64 MiB."""
READ_TRIES: Final = 3
"""Reads are safe to repeat: so often where the bucket says that it may work later."""


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
        self._small = asyncio.Semaphore(LOOKS_AT_ONCE)
        self._large = asyncio.Semaphore(1)
        self._verdicts = Verdicts(metrics, clock)

    async def ping(self) -> None:
        """Answers if the bucket does. StoreError."""
        async for _ in self._store.list_folders(ROOT):
            return

    async def names(self, uid: str) -> AsyncIterator[tuple[AudioName, ObjectInfo]]:
        """Every object of the user whose name says that it is audio, in name order. StoreError."""
        async for info in self._listed(user_prefix(uid)):
            name = parse_audio_name(info.name)
            if name is not None:
                yield name, info

    async def has_any(self, uid: str, conversation_id: str) -> bool:
        """Whether there is an object of the conversation. StoreError."""
        async for info in self._listed(conversation_prefix(uid, conversation_id)):
            if parse_audio_name(info.name) is not None:
                return True
        return False

    async def objects(self, uid: str, conversation_id: str) -> list[StoredObject]:
        """The conversation's objects in name order, with their facts; those that vanish meanwhile are left out. StoreError."""
        listed = []
        async for info in self._listed(conversation_prefix(uid, conversation_id)):
            name = parse_audio_name(info.name)
            if name is not None:
                listed.append((name, info))
        return await self.with_facts(listed)

    async def with_facts(self, listed: list[tuple[AudioName, ObjectInfo]]) -> list[StoredObject]:
        """These objects with their facts. StoreError."""
        self._verdicts.keys_are(self._keys.version)
        # Taken once: what is looked at now may push others out of the memory.
        verdicts = {info.name: self._verdicts.recall(info) for _, info in listed}
        unknown = [(name, info) for name, info in listed if verdicts[info.name] is None]
        try:
            async with asyncio.TaskGroup() as tasks:
                looking = [(info, tasks.create_task(self._look(name, info))) for name, info in unknown]
        except ExceptionGroup as group:
            raise group.exceptions[0] from group
        verdicts |= {info.name: task.result() for info, task in looking}
        return [
            StoredObject(info, name, verdict)
            for name, info in listed
            if (verdict := verdicts[info.name]) is not None
        ]

    async def batch(self, stored: StoredObject) -> Batch:
        """The whole batch that an object of ours holds.

        SourceGoneError: the object is gone. UnreadableError: it cannot be read; remembered. StoreError.
        """
        data = await self._whole(stored.info)
        return await self._read(stored.info, lambda: reading.open_batch(stored.name, data, self._keys.ring))

    async def older(self, stored: StoredObject) -> bytes:
        """All PCM of an older object, s16le mono at 16 kHz. Errors as with `batch`."""
        async with self._room(stored.info):
            data = await self._whole(stored.info)
            secret = self._keys.legacy_secret
            return await self._read(stored.info, lambda: reading.older_pcm(stored.name, data, secret))

    def refuse(self, info: ObjectInfo, reason: str, detail: str) -> UnreadableError:
        """Remembers that the object cannot be read; what its head said of its time stays."""
        known = self._verdicts.recall(info)
        self._verdicts.remember(info, Verdict(known.facts if known else None, reason), detail)
        return UnreadableError(info.name, reason, detail)

    async def _look(self, name: AudioName, info: ObjectInfo) -> Verdict | None:
        """What the object holds, as far as that is needed to place it; None where it is gone."""
        try:
            verdict, detail = await self._judge(name, info)
            if verdict.reason is None and self._verdicts.in_doubt(info):
                async with self._room(info):
                    data = await self._fetch("get", self._store.get, info.name)
                    verdict, detail = await self._workers.run(
                        reading.judge_whole, name, data, verdict, self._keys
                    )
        except SourceGoneError:
            return None
        return self._verdicts.remember(info, verdict, f"{info.name}: {detail}")

    async def _judge(self, name: AudioName, info: ObjectInfo) -> tuple[Verdict, str]:
        """What can be said of it with the fewest bytes, and what is wrong with it. SourceGoneError; StoreError."""
        told = None
        try:
            if name.is_batch:
                told = reading.facts_in_metadata(name, info.metadata)
                if told is not None and not name.sealed:
                    return _sized(info, Verdict(told))
                async with self._small:
                    size = reading.head_bytes(name, told)
                    head = await self._fetch("get_range", self._store.get_range, info.name, 0, size)
                judged = (name, head, told, self._keys)
                if name.sealed:
                    verdict = await self._workers.run(reading.judge_head, *judged)
                else:
                    verdict = reading.judge_head(*judged)
                if verdict is not None:
                    return _sized(info, verdict)
            return await self._judge_older(name, info)
        except UnreadableError as error:
            return Verdict(told, error.reason), error.detail

    async def _judge_older(self, name: AudioName, info: ObjectInfo) -> tuple[Verdict, str]:
        """The same for one in an older format: all but raw PCM must be read for it."""
        samples = samples_by_size(name, info.size) or 0
        facts = OlderFacts.of(name, samples)
        verdict, detail = _sized(info, Verdict(facts))
        if verdict.reason is not None or (not name.sealed and name.codec == "pcm" and samples):
            return verdict, detail
        if name.sealed and not self._keys.legacy_secret:
            detail = "sealed in an older format, and there is no TAPEDECK_LEGACY_SECRET"
            return Verdict(facts, "no_key"), detail
        async with self._room(info):
            data = await self._fetch("get", self._store.get, info.name)
            return await self._workers.run(reading.judge_older, name, data, self._keys.legacy_secret)

    def _room(self, info: ObjectInfo) -> asyncio.Semaphore:
        return self._large if info.size > LARGE_BYTES else self._small

    async def _whole(self, info: ObjectInfo) -> bytes:
        try:
            return await self._fetch("get", self._store.get, info.name)
        except TooLargeError as error:
            raise self.refuse(info, "too_large", str(error)) from error

    async def _read(self, info: ObjectInfo, read: Callable[[], T]) -> T:
        """What `read` makes of the object, in a thread; remembered where it cannot be read."""
        try:
            return await self._workers.run(read)
        except UnreadableError as error:
            raise self.refuse(info, error.reason, error.detail) from error

    async def _fetch(self, operation: str, call: Callable[..., Awaitable[T]], name: str, *args: int) -> T:
        for attempt in range(1, READ_TRIES + 1):
            try:
                with self._counted(operation):
                    return await call(name, *args)
            except NotFoundError as error:
                raise SourceGoneError(f"{name} is gone") from error
            except StoreError as error:
                if not error.retryable or attempt == READ_TRIES:
                    raise
                await asyncio.sleep(0.05 * 4**attempt)
        raise AssertionError("unreachable")

    async def _listed(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        with self._counted("list"):
            async for info in self._store.list(prefix):
                yield info

    @contextmanager
    def _counted(self, operation: str) -> Iterator[None]:
        code = "ok"
        try:
            yield
        except NotFoundError:
            code = "not_found"
            raise
        except StoreError as error:
            code = "transient" if error.retryable else "failed"
            raise
        finally:
            self._metrics.bucket_requests[operation, code].inc()


def _sized(info: ObjectInfo, verdict: Verdict) -> tuple[Verdict, str]:
    """The verdict, or that the object is too large to be read, which its size tells: it must not be found out while it is played."""
    try:
        check_size(info.name, info.size)
    except TooLargeError as error:
        return Verdict(verdict.facts, "too_large"), str(error)
    return verdict, ""
