"""The bucket as storage-api reads it: which objects a conversation has, what they hold, and one batch with its packets.

Owns listing, the facts of each object (from its metadata, else from its head), and a bounded memory of both: objects are written
once, so facts never change. What cannot be read is a row with a reason, never an exception for the whole conversation.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

from audiocodec.errors import CodecError
from audiocodec.ogg import read_ogg_headers
from audiostore.batch import HEAD_BYTES, Batch, BatchFacts, batch_facts, read_batch
from audiostore.errors import BatchFormatError, NotFoundError, StoreError, TooLargeError
from audiostore.names import ROOT, BatchName, conversation_prefix, parse_name, user_prefix
from audiostore.store import ObjectInfo, Store
from storage_api.errors import SourceGoneError, UnreadableError
from storage_api.metrics import StorageMetrics
from storage_api.timeline import Piece, Stored

T = TypeVar("T")

FACTS_AT_ONCE: Final = 16
"""Heads read at the same time, over all requests."""
REMEMBERED_OBJECTS: Final = 20_000
"""Objects whose facts are kept in memory: two weeks of one conversation, or an hour each of 300; about 1 KiB each."""
READ_TRIES: Final = 3
"""Reads are safe to repeat: so often where the bucket says that it may work later."""

Verdict: TypeAlias = BatchFacts | UnreadableError


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of a conversation that is named like a batch."""

    info: ObjectInfo
    name: BatchName
    verdict: Verdict

    @property
    def facts(self) -> BatchFacts | None:
        """What it holds; None where it cannot be read."""
        return self.verdict if isinstance(self.verdict, BatchFacts) else None

    @property
    def reason(self) -> str | None:
        """Why it cannot be read."""
        return self.verdict.reason if isinstance(self.verdict, UnreadableError) else None

    @property
    def pieces(self) -> list[Piece]:
        """For the timeline."""
        facts = self.facts
        if facts is None:
            return []
        return [Piece(span, Stored(self.info.name, index)) for index, span in enumerate(facts.spans)]


class Bucket:
    """Reads of one store."""

    def __init__(self, store: Store, metrics: StorageMetrics) -> None:
        self._store = store
        self._metrics = metrics
        self._heads = asyncio.Semaphore(FACTS_AT_ONCE)
        self._known: OrderedDict[tuple[str, int, int | None], Verdict] = OrderedDict()

    async def ping(self) -> None:
        """Answers if the bucket does. StoreError."""
        async for _ in self._store.list_folders(ROOT):
            return

    async def names(self, uid: str) -> AsyncIterator[tuple[BatchName, ObjectInfo]]:
        """Every object of the user that is named like a batch, in name order. StoreError."""
        async for info in self._listed(user_prefix(uid)):
            name = parse_name(info.name)
            if name is not None:
                yield name, info

    async def has_any(self, uid: str, conversation_id: str) -> bool:
        """Whether there is an object of the conversation. StoreError."""
        async for info in self._listed(conversation_prefix(uid, conversation_id)):
            if parse_name(info.name) is not None:
                return True
        return False

    async def objects(self, uid: str, conversation_id: str) -> list[StoredObject]:
        """The conversation's objects in name order, with their facts; those that vanish meanwhile are left out. StoreError."""
        listed = []
        async for info in self._listed(conversation_prefix(uid, conversation_id)):
            name = parse_name(info.name)
            if name is not None:
                listed.append((name, info))
        return await self.with_facts(listed)

    async def with_facts(self, listed: list[tuple[BatchName, ObjectInfo]]) -> list[StoredObject]:
        """These objects with their facts. StoreError."""
        unknown = [(name, info) for name, info in listed if self._recall(info) is None]
        try:
            async with asyncio.TaskGroup() as tasks:
                looking = [tasks.create_task(self._look(name, info)) for name, info in unknown]
        except ExceptionGroup as group:
            raise group.exceptions[0] from group
        found = {info.name: task.result() for (_, info), task in zip(unknown, looking, strict=True)}
        rows = []
        for name, info in listed:
            verdict = found[info.name] if info.name in found else self._recall(info)
            if verdict is not None:
                rows.append(StoredObject(info, name, verdict))
        return rows

    def cheap(self, info: ObjectInfo) -> bool:
        """Whether the object's facts are known, or cost no request."""
        return bool(info.metadata) or self._key(info) in self._known

    async def batch(self, info: ObjectInfo) -> Batch:
        """The whole batch.

        SourceGoneError: the object is gone. UnreadableError: it does not parse; remembered. StoreError.
        """
        try:
            data = await self._read("get", self._store.get, info.name)
        except TooLargeError as error:
            raise self._unreadable(info, "too_large", str(error)) from error
        try:
            return await asyncio.to_thread(read_batch, data)
        except BatchFormatError as error:
            raise self._unreadable(info, "not_a_batch", str(error)) from error

    async def _look(self, name: BatchName, info: ObjectInfo) -> Verdict | None:
        if name.sealed:
            return self._remember(
                info, UnreadableError(info.name, "sealed", "this build opens no sealed objects")
            )
        if info.metadata and (facts := _from_metadata(info.metadata)):
            return self._remember(info, facts)
        async with self._heads:
            try:
                head = await self._read("get_range", self._store.get_range, info.name, 0, HEAD_BYTES)
            except SourceGoneError:
                return None
        try:
            return self._remember(info, batch_facts(read_ogg_headers(head)))
        except (CodecError, BatchFormatError) as error:
            return self._unreadable(info, "not_a_batch", str(error))

    async def _read(self, operation: str, call: Callable[..., Awaitable[T]], name: str, *args: int) -> T:
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

    def _unreadable(self, info: ObjectInfo, reason: str, detail: str) -> UnreadableError:
        error = UnreadableError(info.name, reason, detail)
        self._remember(info, error)
        return error

    def _remember(self, info: ObjectInfo, verdict: Verdict) -> Verdict:
        if isinstance(verdict, UnreadableError):
            self._metrics.unreadable[verdict.reason].inc()
        self._known[self._key(info)] = verdict
        if len(self._known) > REMEMBERED_OBJECTS:
            self._known.popitem(last=False)
        return verdict

    def _recall(self, info: ObjectInfo) -> Verdict | None:
        key = self._key(info)
        verdict = self._known.get(key)
        if verdict is not None:
            self._known.move_to_end(key)
        return verdict

    @staticmethod
    def _key(info: ObjectInfo) -> tuple[str, int, int | None]:
        return info.name, info.size, info.crc32c


def _from_metadata(metadata: Mapping[str, str]) -> BatchFacts | None:
    try:
        return batch_facts(metadata)
    except BatchFormatError:
        return None  # another writer's, or an older one's: the tags in the object decide
