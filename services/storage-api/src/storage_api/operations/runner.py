"""Carries out operations: whatever is due, be it begun here or left behind by a process that is no more.

Owns taking, holding and giving back leases, and when a try that failed is followed by the next. What is done is the kinds' business.
"""

import asyncio
import logging
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import msgspec

from audiobus import Bus
from audiobus.errors import BadEntryError, BusError, BusUnavailableError
from audiobus.operations import due, find, take, write
from audiostore.errors import StoreError
from servicekit.ending import end
from storage_api.errors import log_text
from storage_api.operations.turn import FailedError, Kind, LaterError, LeaseLostError, Trouble, Turn

LEASE_MS: Final = 30_000
"""A process that was not heard of for this long is taken for dead."""
EVERY_S: Final = 1.0
"""How often it is looked for what is due."""
AT_ONCE: Final = 4
"""Operations that one process carries out at the same time."""
FIRST_PAUSE_MS: Final = 1_000
LONGEST_PAUSE_MS: Final = 60_000
"""Between a try that failed and the next: twice as long each time."""
UNKNOWN_MS: Final = 60_000
"""Until an operation is looked at again that this build does not know, or cannot read."""
LEAVING_S: Final = 1.0
"""So long a process that ends tries to give a lease back."""

log = logging.getLogger(__name__)


class Runner:
    """The operations that one process carries out."""

    def __init__(
        self, bus: Bus, kinds: Mapping[str, Kind], *, lease_ms: int = LEASE_MS, every_s: float = EVERY_S
    ) -> None:
        self._bus = bus
        self._kinds = kinds
        self._lease_ms = lease_ms
        self._every_s = every_s
        self._holder = uuid.uuid4().hex
        self._running: set[str] = set()

    async def run(self) -> None:
        """Until it is cancelled; what is under way then is left for others."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                try:
                    for operation_id in await self.take_due():
                        tasks.create_task(self.carry_out(operation_id), name="operation")
                except BusError as error:
                    log.debug("operations cannot be looked for", extra={"reason": log_text(error)})
                await asyncio.sleep(self._every_s)

    async def take_due(self) -> list[str]:
        """Ids of operations whose lease is held here from now on. BusError."""
        taken: list[str] = []
        for operation_id in await due(self._bus):
            if len(self._running) + len(taken) >= AT_ONCE:
                break
            if operation_id in self._running:
                continue
            if await take(self._bus, operation_id, self._holder, self._lease_ms):
                taken.append(operation_id)
        self._running.update(taken)
        return taken

    async def carry_out(self, operation_id: str) -> None:
        """One turn at an operation that was taken."""
        try:
            await self._carry_out(operation_id)
        except BusError as error:
            # Its lease ends by itself, and whoever takes it then begins at the last step.
            log.warning("an operation cannot be written down", extra={"reason": log_text(error)})
        finally:
            self._running.discard(operation_id)

    async def _carry_out(self, operation_id: str) -> None:
        try:
            operation = await find(self._bus, operation_id)
        except BadEntryError as error:
            log.error("an operation cannot be read", extra={"reason": log_text(error)})  # noqa: TRY400
            operation = None
        kind = self._kinds.get(operation.kind) if operation else None
        if operation is None or kind is None:
            await write(self._bus, operation_id, self._holder, "later", UNKNOWN_MS, {})
            return
        turn = Turn(self._bus, operation, self._holder, self._lease_ms)
        try:
            result = await self._held(turn, kind)
        except LeaseLostError:
            log.warning("an operation went to another process", extra={"kind": operation.kind})
        except LaterError as later:
            await turn.leave(later.ms)
        except FailedError as error:
            await turn.finish(None, Trouble(code=error.code, detail=error.detail))
        except asyncio.CancelledError:
            with suppress(BusError, TimeoutError):
                async with asyncio.timeout(LEAVING_S):
                    await turn.leave(0)
            raise
        except Exception as error:  # noqa: BLE001 - the top of a task: whatever it is, it is told and tried again
            await _try_again(turn, error)
        else:
            await turn.finish(result)
            log.info("an operation is done", extra={"kind": operation.kind})

    async def _held(self, turn: Turn, kind: Kind) -> msgspec.Struct:
        """What the kind answers, while the lease is held for it. LeaseLostError, and whatever the kind raises."""
        work = asyncio.ensure_future(kind(turn))
        try:
            while not (await asyncio.wait({work}, timeout=turn.lease_ms / 3000))[0]:
                # Where it is not known whether it is held, it goes on: done twice is done all the same.
                with suppress(BusUnavailableError):
                    if not await turn.hold():
                        raise LeaseLostError(turn.operation.id)
        finally:
            await end([work])
        return work.result()


async def _try_again(turn: Turn, error: Exception) -> None:
    if isinstance(error, BusUnavailableError):
        trouble = Trouble(code="live_unavailable", detail="Redis cannot be reached; it is tried again")
    elif isinstance(error, StoreError):
        trouble = Trouble(code="store_unavailable", detail="the bucket cannot be reached; it is tried again")
    else:
        trouble = Trouble(code="internal", detail="something went wrong on the server; it is tried again")
        log.error("an operation failed", extra={"kind": turn.operation.kind}, exc_info=error)
    tries = turn.operation.tries + 1
    log.warning("an operation is tried again", extra={"kind": turn.operation.kind, "reason": log_text(error)})
    pause_ms = min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** min(tries - 1, 10))
    await turn.leave(pause_ms, trouble, tries)
