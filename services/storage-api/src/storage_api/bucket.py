"""The bucket as storage-api reads it: which objects a conversation has, what they hold, and one batch with its packets.

Owns listing, the facts of each object (from its metadata, else from its head), and a bounded memory of both: objects are written
once, so facts never change. What cannot be read is a row with a reason, never an exception for the whole conversation.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

from audiocodec.errors import CodecError
from audiocodec.ogg import read_ogg_headers
from audiostore.batch import HEAD_BYTES, Batch, BatchFacts, batch_facts, read_batch
from audiostore.errors import BatchFormatError, NotFoundError, StoreError, TooLargeError
from audiostore.names import ROOT, BatchName, conversation_prefix, parse_name, user_prefix
from audiostore.store import ObjectInfo, Store
from storage_api.errors import SourceGoneError, UnreadableError, log_text
from storage_api.metrics import StorageMetrics
from storage_api.timeline import Piece, Stored
from storage_api.workers import Workers

T = TypeVar("T")

log = logging.getLogger(__name__)

FACTS_AT_ONCE: Final = 16
"""Heads read at the same time, over all requests."""
REMEMBERED_OBJECTS: Final = 20_000
"""Objects whose facts are kept in memory, and as many that cannot be read: two weeks of one conversation, or an hour each of 300; about 1 KiB each."""
READ_TRIES: Final = 3
"""Reads are safe to repeat: so often where the bucket says that it may work later."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of an object: what it holds, and whether it can be read."""

    facts: BatchFacts | None = None
    """None where not even its head can be read."""
    reason: str | None = None
    """Why it cannot be read: one of `errors.REASONS`; None where nothing speaks against it."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of a conversation that is named like a batch."""

    info: ObjectInfo
    name: BatchName
    verdict: Verdict

    @property
    def reason(self) -> str | None:
        """Why it cannot be read; None where it can."""
        return self.verdict.reason

    @property
    def start_48k(self) -> int:
        """Its first sample: exact where its facts are known, else as its name says."""
        facts = self.verdict.facts
        return facts.spans[0].start_48k if facts else self.name.start_ms * 48

    @property
    def end_48k(self) -> int:
        """The moment after its last sample, likewise."""
        facts = self.verdict.facts
        return facts.spans[-1].end_48k if facts else self.name.end_ms * 48

    @property
    def pieces(self) -> list[Piece]:
        """For the timeline; none where it cannot be read."""
        facts = self.verdict.facts
        if facts is None or self.reason is not None:
            return []
        return [Piece(span, Stored(self.info.name, index)) for index, span in enumerate(facts.spans)]


class Bucket:
    """Reads of one store."""

    def __init__(self, store: Store, metrics: StorageMetrics, workers: Workers) -> None:
        self._store = store
        self._workers = workers
        self._metrics = metrics
        self._heads = asyncio.Semaphore(FACTS_AT_ONCE)
        self._known: OrderedDict[tuple[str, int, int | None], Verdict] = OrderedDict()
        # Apart from the rest: a defect that only a whole read shows must not be forgotten because much else was looked at.
        self._refused: OrderedDict[tuple[str, int, int | None], Verdict] = OrderedDict()

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
        # Taken once: what is looked at now may push others out of the memory.
        verdicts = {info.name: self._recall(info) for _, info in listed}
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

    async def batch(self, info: ObjectInfo) -> Batch:
        """The whole batch.

        SourceGoneError: the object is gone. UnreadableError: it does not parse; remembered. StoreError.
        """
        try:
            data = await self._read("get", self._store.get, info.name)
        except TooLargeError as error:
            raise self.refuse(info, "too_large", str(error)) from error
        try:
            return await self._workers.run(read_batch, data)
        except BatchFormatError as error:
            raise self.refuse(info, "not_a_batch", str(error)) from error

    def refuse(self, info: ObjectInfo, reason: str, detail: str) -> UnreadableError:
        """Remembers that the object cannot be read; what its head said of its time stays."""
        known = self._recall(info)
        self._remember(info, Verdict(known.facts if known else None, reason), detail)
        return UnreadableError(info.name, reason, detail)

    async def _look(self, name: BatchName, info: ObjectInfo) -> Verdict | None:
        if name.sealed:
            return self._remember(info, Verdict(None, "sealed"), "this build opens no sealed objects")
        if info.metadata and (facts := _from_metadata(info.metadata)):
            return self._remember(info, Verdict(facts))
        async with self._heads:
            try:
                head = await self._read("get_range", self._store.get_range, info.name, 0, HEAD_BYTES)
            except SourceGoneError:
                return None
        try:
            return self._remember(info, Verdict(batch_facts(read_ogg_headers(head))))
        except (CodecError, BatchFormatError) as error:
            return self._remember(info, Verdict(None, "not_a_batch"), str(error))

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

    def _remember(self, info: ObjectInfo, verdict: Verdict, detail: str = "") -> Verdict:
        if verdict.reason is None and (refused := self._recall(info)) is not None and refused.reason:
            return refused  # its head looks well, but it was read meanwhile
        if verdict.reason is not None:
            self._metrics.unreadable[verdict.reason].inc()
            log.warning(
                "an object cannot be read", extra={"reason": verdict.reason, "detail": log_text(detail)}
            )
        memory = self._known if verdict.reason is None else self._refused
        memory[self._key(info)] = verdict
        if len(memory) > REMEMBERED_OBJECTS:
            memory.popitem(last=False)
        return verdict

    def _recall(self, info: ObjectInfo) -> Verdict | None:
        key = self._key(info)
        for memory in (self._refused, self._known):
            if (verdict := memory.get(key)) is not None:
                memory.move_to_end(key)
                return verdict
        return None

    @staticmethod
    def _key(info: ObjectInfo) -> tuple[str, int, int | None]:
        return info.name, info.size, info.crc32c


def _from_metadata(metadata: Mapping[str, str]) -> BatchFacts | None:
    try:
        return batch_facts(metadata)
    except BatchFormatError:
        return None  # another writer's, or an older one's: the tags in the object decide
