"""The mover: empties the second bucket into the first, whenever the first works.

Owns when that is done and by whom: one pusher at a time, by a lease, which is thrift and not safety (`homecoming` is safe without it). Moving
leaves most connections to what is being recorded: a few objects at once, which is also all that is in memory. What looks damaged, or waits for a key, is passed
over for a while (`patience`).
"""

import asyncio
import logging
import math
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from audiobus.bus import Bus
from audiobus.errors import BadEntryError, BusError
from audiobus.script import script
from audiostore.errors import AudiostoreError, NotFoundError, StoreConfigurationError, TransientStoreError
from audiostore.key_ring import KeySource
from audiostore.names import ROOT, parse_name
from audiostore.store import ObjectInfo
from pusher.buckets import Buckets
from pusher.errors import DamagedError, KeptBackError, PusherError
from pusher.guarded_store import GuardedStore, without_names
from pusher.homecoming import DAMAGED, EARLY, FAILED, WAITS, Homecoming
from pusher.metrics import PusherMetrics
from pusher.patience import Patience
from pusher.roles import Roles
from servicekit.ending import end
from servicekit.logs import log_context
from servicekit.stop import Stop

log = logging.getLogger(__name__)

TICK_S: Final = 2.0
AT_ONCE: Final = 8
LEASE_MS: Final = 60_000
AGAIN_S: Final = 15.0
"""After a sweep that left something, and where another pusher made it: it may be one that cannot reach the first bucket."""
IDLE_S: Final = 300.0
"""After one that left nothing: a put that was under way may still land."""
LOOK_AGAIN_S: Final = 15.0
"""A sweep that takes longer looks again whether the buckets are two."""
COUNT_S: Final = 60.0
"""How often the batches in the second bucket are counted while none can be moved."""
NOT_KNOWN: Final = math.nan
"""Of a gauge: so is a sum with it, which is then not 0 either."""
MARK: Final = "tapedeck-mark"
"""Of the object that shows whether two addresses mean one bucket: outside of everything that is read."""


@dataclass(slots=True)
class Mover:
    """Moves home until it is asked to stop. Does nothing where there is no second bucket."""

    bus: Bus
    buckets: Buckets
    keys: KeySource
    metrics: PusherMetrics
    holder: str
    roles: Roles | None = None
    """Of the two buckets; None where nobody else can have others."""
    _patience: Patience = field(default_factory=Patience)
    """With what looks damaged, or waits for a key."""
    _due_s: float = 0.0
    _was_away: bool = False
    _two: tuple[float, int, int] = (-math.inf, 0, 0)
    """When the buckets were found to be two, and how often either had been away by then."""
    _counted_s: float | None = None
    """When the batches in the second bucket were counted last; None where another pusher tells how many there are."""

    async def run(self, stop: Stop) -> None:
        """Looks at the clock every two seconds; goes on whatever happens to the buckets and to Redis."""
        second = self.buckets.second
        if second is None:
            return
        clock = asyncio.get_running_loop()
        ending = asyncio.create_task(stop.wait(), name="mover's end")
        while not stop.is_set():
            is_due = clock.time() >= self._due_s or self._was_away != (not self.buckets.well)
            if is_due:
                self._was_away = not self.buckets.well  # what changed is looked at at once
                moving = asyncio.create_task(self._turn(second), name="moving home")
            else:
                moving = asyncio.create_task(self._heed_others(), name="who tells what is left")
            await asyncio.wait([moving, ending], return_when=asyncio.FIRST_COMPLETED)
            await end([moving])  # it may be broken off anywhere
            if is_due:
                self._due_s = clock.time() + (AGAIN_S if moving.cancelled() or moving.result() else IDLE_S)
            await asyncio.wait([ending], timeout=TICK_S)

    async def _turn(self, second: GuardedStore) -> int:
        """A sweep, if no other pusher makes it; how many are left. The top of a task."""
        try:
            if self.roles is None or await self.roles.agreed():
                async with self._lease() as ours:
                    if not ours:
                        self._counted_s = None
                        self.metrics.fallback_objects.set(0)  # another one tells
                        return 1
                    await self.bus.command("SET", self.bus.keys.homecoming_teller(), self.holder)
                    if self._counted_s is None:
                        self.metrics.fallback_objects.set(NOT_KNOWN)
                    return await (self.sweep(second) if self.buckets.well else self.try_one(second))
            log.critical("nothing is moved home", extra={"error": self.roles.complaint})
        except StoreConfigurationError as error:
            # Of a first bucket that refuses us the circuit tells.
            level = logging.CRITICAL if self.buckets.well else logging.INFO
            log.log(level, "nothing is moved home until somebody acts", extra={"error": without_names(error)})
        except (BusError, AudiostoreError) as error:
            log.warning("nothing is moved home at the moment", extra={"error": without_names(error)})
        except Exception:
            # A defect, ours or a library's. What is in the second bucket can be read there, and is tried again.
            log.critical("moving home broke", exc_info=True)
        if self._counted_s is None:
            self.metrics.fallback_objects.set(NOT_KNOWN)  # nor whether another one tells
        return 1

    async def _heed_others(self) -> int:
        """Shows no count any more once another pusher has looked: the sum over all pushers is to be right. Answers as `_turn`."""
        if self._counted_s is not None:
            with suppress(BusError):  # then the next look does
                teller = await self.bus.command("GET", self.bus.keys.homecoming_teller())
                if teller not in (None, self.holder.encode()):
                    self._counted_s = None
                    self.metrics.fallback_objects.set(0)
        return 1

    async def sweep(self, second: GuardedStore) -> int:
        """Moves what the second bucket has; how many are left, as far as it came, those among them that were passed over.

        Raises:
            StoreError: the second bucket cannot be listed.
            StoreConfigurationError: both are one bucket: then nothing must be deleted.
        """
        await self._make_sure_of_two(second)
        home = self._homecoming(second)
        left: list[str] = []
        count = 0
        whole = False
        broken: AudiostoreError | None = None
        slots = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as tasks:
            try:
                async for info in second.list(ROOT):
                    if parse_name(info.name) is None:
                        continue
                    count += 1
                    self.metrics.fallback_objects.set(count)
                    if self._patience.is_early(info.name, self.buckets.first.now_ms()):
                        left.append(info.name)
                        continue
                    await slots.acquire()
                    if not self.buckets.well:
                        left.append(info.name)
                        break
                    if not self._surely_two(second):
                        await self._make_sure_of_two(second)
                    moving = tasks.create_task(self._move(home, info, left))
                    moving.add_done_callback(lambda _done: slots.release())
                else:
                    whole = True
            except AudiostoreError as error:
                broken = error  # those that have begun go on to their end
        if broken is not None:
            raise broken
        if whole:
            self._patience.keep_only(left)
        self._tell(len(left))
        if count:
            log.info("moved batches home from the second bucket", extra={"objects": count, "left": len(left)})
        return len(left)

    async def try_one(self, second: GuardedStore) -> int:
        """Sees whether the first bucket is back, with a batch that is to be moved: all else may have gone to the second, and nobody else tries.

        Answers and raises as `sweep`.
        """
        circuit = self.buckets.first.circuit
        probe = circuit.probe(self.buckets.first.now_ms())
        if probe is None:
            await self._count(second)
            return 1
        left: list[str] = []
        try:
            await self._make_sure_of_two(second)
            home = self._homecoming(second)
            async for info in second.list(ROOT):
                if parse_name(info.name) is None:
                    continue
                if self._patience.is_early(info.name, self.buckets.first.now_ms()):
                    continue
                outcome = await self._move(home, info, left)
                # One that is not settled yet does not ask the first bucket. One that looks damaged is passed over the next time.
                if circuit.closed or outcome in (FAILED, WAITS, DAMAGED):
                    break
        finally:
            circuit.end(probe)
        await self._count(second)
        return 1

    def _homecoming(self, second: GuardedStore) -> Homecoming:
        first = self.buckets.first
        return Homecoming(self.bus, first, second, self.keys, first.now_ms)

    async def _count(self, second: GuardedStore) -> None:
        """Tells how many batches lie in the second bucket, while none is moved."""
        now_s = asyncio.get_running_loop().time()
        if self._counted_s is None or now_s - self._counted_s >= COUNT_S:
            self._tell(len([None async for info in second.list(ROOT) if parse_name(info.name) is not None]))

    def _tell(self, count: int) -> None:
        self.metrics.fallback_objects.set(count)
        self._counted_s = asyncio.get_running_loop().time()

    async def _move(self, home: Homecoming, info: ObjectInfo, left: list[str]) -> str:
        """One object, and what came of it; that hinders no other. The top of a task."""
        name = parse_name(info.name)
        with log_context(conversation_id=name.conversation_id if name else ""):
            outcome = await self._outcome(home, info, left)
        if outcome in (DAMAGED, WAITS):
            self._patience.stays(info.name, self.buckets.first.now_ms())
        else:
            self._patience.forget(info.name)
        return outcome

    async def _outcome(self, home: Homecoming, info: ObjectInfo, left: list[str]) -> str:
        outcome = FAILED
        try:
            outcome = await home.move(info)
            if outcome == EARLY:
                left.append(info.name)
        except DamagedError as error:
            outcome = DAMAGED
            left.append(info.name)
            log.error(  # noqa: TRY400 - no defect of ours: there is nothing to trace
                "a batch stays in the second bucket",
                extra={"error": str(error), "object": info.name.rpartition("/")[2]},
            )
        except (AudiostoreError, PusherError, BusError, BadEntryError) as error:
            outcome = WAITS if isinstance(error, KeptBackError) else FAILED
            left.append(info.name)
            log.warning(
                "a batch stays in the second bucket",
                extra={
                    "error": f"{type(error).__name__}: {without_names(error)}",
                    "object": info.name.rpartition("/")[2],
                },
            )
        except Exception:
            # A defect, ours or a library's: it can be read where it is, and is tried again.
            left.append(info.name)
            log.critical("a batch stays in the second bucket: moving it broke", exc_info=True)
        finally:
            self.metrics.moved_home[outcome].inc()
        return outcome

    async def _make_sure_of_two(self, second: GuardedStore) -> None:
        """Two addresses may mean one bucket (a link, a mount, a name of the same server): deleting in one would delete in both.

        Looked at before each sweep, whatever was found before: either may have been away, and be the other one since.

        Raises:
            StoreConfigurationError: they are one.
            TransientStoreError: nobody can tell now.
        """
        away = self._been_away(second)
        looked_s = asyncio.get_running_loop().time()
        name = f"{MARK}/{uuid.uuid4().hex}"
        await second.put(name, b"", content_type="text/plain", metadata={})
        try:
            await self.buckets.first.head(name)
        except NotFoundError:
            await self._still_there(second, name)
            self._two = (looked_s, *away)
        else:
            raise StoreConfigurationError(
                "TAPEDECK_FALLBACK_STORE_URL and TAPEDECK_STORE_URL mean the same bucket: nothing is moved or deleted; correct one of them"
            )
        finally:
            await second.delete(name)
            # Of pushers that ended in the middle: what takes a mark away may be ended too.
            for mark in [info.name async for info in second.list(f"{MARK}/")]:
                await second.delete(mark)

    def _surely_two(self, second: GuardedStore) -> bool:
        """Whether that was looked at just now, and neither was away since."""
        looked_s, *away = self._two
        lately = asyncio.get_running_loop().time() - looked_s < LOOK_AGAIN_S
        return lately and self._been_away(second) == tuple(away)

    def _been_away(self, second: GuardedStore) -> tuple[int, int]:
        return self.buckets.first.circuit.opened, second.circuit.opened

    async def _still_there(self, second: GuardedStore, mark: str) -> None:
        """That the first bucket has no mark says something only while the second has it: another pusher may have taken it for one that was left."""
        try:
            await second.head(mark)
        except NotFoundError as error:
            raise TransientStoreError(
                "the mark in the second bucket is gone: whether both are one is looked at again"
            ) from error

    @asynccontextmanager
    async def _lease(self) -> AsyncIterator[bool]:
        """Whether it is this pusher's turn; renewed while inside."""
        ours = await self._take()
        keeper = asyncio.create_task(self._renew(), name="homecoming lease") if ours else None
        try:
            yield ours
        finally:
            if keeper is not None:
                await end([keeper])
                # Else it runs out by itself.
                with suppress(BusError):
                    await script("release").run(
                        self.bus.client, [self.bus.keys.homecoming_lease()], [self.holder]
                    )

    async def _take(self) -> bool:
        return bool(
            await script("lease").run(
                self.bus.client, [self.bus.keys.homecoming_lease()], [self.holder, LEASE_MS]
            )
        )

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(LEASE_MS / 3000)
            with suppress(BusError):
                await self._take()
