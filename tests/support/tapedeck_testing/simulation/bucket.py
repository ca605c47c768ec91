"""The one bucket of a world, and the store that a process has of it: audiostore's contract, with everything that a network does to it.

Owns create-only puts, puts that land long after their caller gave up, lost replies, and listings in pages; whoever puts compares what lies there with
what was sent, and where it differs leaves it (gs://) or puts it right in its place (az://), as the real stores do. `Patience` and the tries are the product's own (`audiostore.attempts`).
"""

from __future__ import annotations

import asyncio
from contextvars import Context
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import google_crc32c

from audiostore.attempts import Patience, attempts
from audiostore.errors import (
    AlreadyExistsError,
    ChecksumError,
    NotFoundError,
    StoreConfigurationError,
    TransientStoreError,
)
from audiostore.store import ObjectInfo, check_metadata, check_name, check_prefix, check_range, check_size
from tapedeck_testing.simulation.garbling import Garbling
from tapedeck_testing.simulation.server import PROCESS_FAULTS
from tapedeck_testing.simulation.turning_points import LEFT, TURN, stop_before
from tapedeck_testing.simulation.virtual_loop import PROCESS, Process, VirtualLoop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from tapedeck_testing.simulation.chance import Chance

PAGE: Final = 3
"""Objects in a page of a listing: small, so that something comes between two of them."""
PATIENCE: Final = Patience(first_pause_s=0.2, longest_pause_s=0.5, begin_for_s=0.8, deadline_s=4.0)
LATEST_S: Final = 30.0
"""A put lands so much later at most."""
LEFT_THERE: Final = 0.5
"""Of the objects that are not what was sent, and could be put right in their place, so many stay as they are."""
UNHEARD: Final = ("bucket: 5xx", "bucket: reply lost", "bucket: lands late")
FAULTS: Final = ("bucket: 5xx", "bucket: reply lost", "bucket: lands late", "bucket: slow")


@dataclass(frozen=True, slots=True)
class Held:
    """An object."""

    info: ObjectInfo
    data: bytes
    content_type: str
    damaged: bool = False
    """It is not what was sent."""


class Bucket:
    """What lies there, whoever asks."""

    def __init__(
        self,
        loop: VirtualLoop,
        chance: Chance,
        harm: Callable[[Process, str], None],
        name: str = "bucket",
    ) -> None:
        self.name = name
        self.loop = loop
        self.chance = chance
        self.harm = harm
        self.garbling = Garbling(chance)
        self.objects: dict[str, Held] = {}
        self.away_until = 0.0
        self.refuses_until = 0.0
        """Until then it takes nobody's word (403), or is not to be seen (404): nothing changes until an operator acts."""
        self.full_until = 0.0
        """Until then it takes no new object; all else works."""
        self.puts = 0
        self.since_s: dict[str, float] = {}
        """When each object came to lie there first, by the loop's clock, also of those that are gone."""

    def calm(self) -> None:
        """It is there for everybody."""
        self.away_until = self.refuses_until = self.full_until = 0.0

    def create(self, held: Held) -> ObjectInfo:
        """Whole, or not at all."""
        self.puts += 1
        name = held.info.name
        if name in self.objects:
            raise AlreadyExistsError(f"put {name}: the name is taken")
        data = self.garbling.stored(name, held.data)
        if data != held.data:
            crc32c = held.info.crc32c if self.garbling.claims else google_crc32c.value(data)
            held = Held(
                replace(held.info, size=len(data), crc32c=crc32c), data, held.content_type, damaged=True
            )
        self.objects[name] = held
        self.since_s.setdefault(name, self.loop.time())
        self.chance.note(f"{self.name}: {name} is there")
        return held.info

    def put_right(self, there: Held, data: bytes) -> None:
        """In the place of just this one, and of none that came to lie there meanwhile."""
        name = there.info.name
        if self.objects.get(name) is there:
            self.objects[name] = replace(there, data=data, damaged=False)
            self.chance.note(f"{self.name}: {name} is put right")

    def delete(self, name: str) -> None:
        """It may be gone already."""
        if self.objects.pop(name, None) is not None:
            self.chance.note(f"{self.name}: {name} is gone")


class WorldStore:
    """A process' way to the bucket. Implements Store."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    async def put(
        self, name: str, data: bytes, *, content_type: str, metadata: Mapping[str, str]
    ) -> ObjectInfo:
        check_name(name)
        check_size(name, len(data))
        info = ObjectInfo(
            name,
            len(data),
            google_crc32c.value(data),
            check_metadata(metadata),
            claimed=self._bucket.garbling.claims,
        )
        held = Held(info, bytes(data), content_type)
        async with attempts(f"put {name}", PATIENCE) as tries:
            try:
                result: ObjectInfo = await tries.write(
                    lambda: self._request(lambda: self._bucket.create(held), creates=True)
                )
            except AlreadyExistsError:
                # As the real ones: one's own object, whose reply was lost, is no conflict.
                if not tries.repeated or not _same(result := await self.head(name), info):
                    raise
            await self._compare(result, data)
            return info

    async def _compare(self, told: ObjectInfo, data: bytes) -> None:
        """Nothing, if what lies there is what was sent, or was put right. `told`: what the bucket says of it."""
        if not told.claimed:
            if told.crc32c != google_crc32c.value(data):
                raise ChecksumError(f"put {told.name}: what lies there differs from what was sent, and stays")
            return
        held: Held = await self._read(lambda: self._held(told.name))
        if held.data != data:
            if self._bucket.chance.dice.random() < LEFT_THERE:
                raise TransientStoreError(
                    f"put {told.name}: what lies there differs, and cannot be put right"
                )
            # By its ETag: what comes to lie there meanwhile is somebody else's, and is compared anew at the next try.
            await self._request(lambda: self._bucket.put_right(held, data), writes=True)
            now: Held = await self._read(lambda: self._held(told.name))
            if now.data != data:
                raise ChecksumError(f"put {told.name}: what lies there differs from what was sent, and stays")

    async def get(self, name: str) -> bytes:
        held: Held = await self._read(lambda: self._held(name))
        if google_crc32c.value(held.data) != held.info.crc32c or self._bucket.garbling.misreads(name):
            raise ChecksumError(f"get {name}: the bytes that came do not have the CRC32C that was stored")
        return held.data

    async def get_range(self, name: str, start: int, end: int) -> bytes:
        check_range(name, start, end)
        held: Held = await self._read(lambda: self._held(name))
        return held.data[start:end]

    async def head(self, name: str) -> ObjectInfo:
        held: Held = await self._read(lambda: self._held(name))
        return held.info

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[ObjectInfo]:
        check_prefix(prefix)
        if self._bucket.chance.strikes(TURN, calm_too=LEFT):
            await stop_before(PROCESS.get(), self._bucket.harm)
        while True:
            at = after

            def page(at: str = at) -> list[ObjectInfo]:
                names = sorted(name for name in self._bucket.objects if name.startswith(prefix) and name > at)
                found = [self._bucket.objects[name].info for name in names[:PAGE]]
                if not self._bucket.garbling.claims:
                    return found
                return [ObjectInfo(info.name, info.size, None, None) for info in found]

            found: list[ObjectInfo] = await self._read(page)
            for info in found:
                yield info
            if len(found) < PAGE:
                return
            after = found[-1].name

    async def list_folders(self, prefix: str) -> AsyncIterator[str]:
        check_prefix(prefix)

        def folders() -> list[str]:
            names = [name for name in self._bucket.objects if name.startswith(prefix)]
            return sorted(
                {name[: name.index("/", len(prefix)) + 1] for name in names if "/" in name[len(prefix) :]}
            )

        found: list[str] = await self._read(folders)
        for folder in found:
            yield folder

    async def copy(self, source: str, target: str) -> ObjectInfo:
        check_name(target)
        async with attempts(f"copy {source}", PATIENCE) as tries:
            held = self._held(source)
            moved = replace(held, info=replace(held.info, name=target))
            try:
                result: ObjectInfo = await tries.write(
                    lambda: self._request(lambda: self._bucket.create(moved), creates=True)
                )
            except AlreadyExistsError:
                if tries.repeated and _same(await self.head(target), moved.info):
                    return moved.info
                raise
            return result

    async def delete(self, name: str) -> None:
        check_name(name)
        async with attempts(f"delete {name}", PATIENCE) as tries:
            await tries.read(lambda: self._request(lambda: self._bucket.delete(name), writes=True))

    async def close(self) -> None:
        """Nothing to give back."""

    def _held(self, name: str) -> Held:
        try:
            return self._bucket.objects[check_name(name)]
        except KeyError as error:
            raise NotFoundError(f"read {name}: no such object") from error

    async def _read(self, work: Callable[[], Any]) -> Any:
        async with attempts("read", PATIENCE) as tries:
            return await tries.read(lambda: self._request(work))

    async def _request(self, work: Callable[[], Any], *, writes: bool = False, creates: bool = False) -> Any:  # noqa: C901 - all that may befall a request, in its order
        """One request: what comes of it, and what its caller hears."""
        bucket, process = self._bucket, PROCESS.get()
        chance, loop = bucket.chance, bucket.loop
        harm = chance.pick(PROCESS_FAULTS)
        if harm == "process: killed before a request":
            bucket.harm(process, harm)
            await asyncio.sleep(0)
        if loop.time() < bucket.away_until:
            await asyncio.sleep(chance.between(0.005, 1.0))
            raise TransientStoreError("503 Service Unavailable")
        if loop.time() < bucket.refuses_until:
            await asyncio.sleep(chance.between(0.005, 0.08))
            raise StoreConfigurationError("403 Forbidden, or 404 and no such bucket")
        if creates and loop.time() < bucket.full_until:
            await asyncio.sleep(chance.between(0.005, 0.08))
            raise TransientStoreError("no space left")
        fate = chance.pick(FAULTS)
        there_s = chance.between(0.005, 0.08)
        if fate == "bucket: slow":
            there_s = chance.between(0.3, 3.5)
        reply: asyncio.Future[Any] = loop.create_future()
        heard = fate not in UNHEARD

        def arrive() -> None:
            if harm in ("process: killed after a request", "process: stopped"):
                bucket.harm(process, harm)
            answer = _done(work)
            if heard:
                loop.call_later(chance.between(0.005, 0.05), _answer, reply, answer)

        if fate == "bucket: lands late" and (writes or creates):
            loop.call_later(chance.between(0.5, LATEST_S), arrive, context=Context())
        elif fate != "bucket: 5xx":
            loop.call_later(there_s, arrive, context=Context())
        if not heard:
            await asyncio.sleep(there_s + chance.between(0.005, 0.5))
            raise TransientStoreError("the connection was reset")
        answer = await reply
        if harm == "process: killed after an answer":
            bucket.harm(process, harm)
            await asyncio.sleep(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def _done(work: Callable[[], Any]) -> Any:
    """What came of it, or the error that the bucket answers."""
    try:
        return work()
    except (AlreadyExistsError, NotFoundError) as error:
        return error


def _same(one: ObjectInfo, other: ObjectInfo) -> bool:
    return (one.size, one.crc32c, one.metadata) == (other.size, other.crc32c, other.metadata)


def _answer(reply: asyncio.Future[Any], result: Any) -> None:
    if not reply.done():
        reply.set_result(result)
