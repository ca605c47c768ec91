"""Carries out operations: whatever is due, be it begun here or left behind by a process that is no more.

Owns taking, holding and giving back leases, and when a try that failed is followed by the next. What is done is the kinds' business.
"""

import asyncio
import logging
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, NamedTuple

import msgspec

from audiobus import Bus
from audiobus.errors import BadEntryError, BusError, BusUnavailableError
from audiobus.operations import due, find, take, write
from servicekit.ending import end
from storage_api.errors import log_text
from storage_api.operations.turn import (
    FailedError,
    Kind,
    LaterError,
    LeaseLostError,
    Trouble,
    Turn,
    trouble_of,
)

LEASE_MS: Final = 30_000
"""A process that was not heard of for this long is taken for dead."""
EVERY_S: Final = 1.0
"""How often it is looked for what is due; what was begun in this process is taken at once."""
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


class Taken(NamedTuple):
    """An operation whose lease is held."""

    operation_id: str
    holder: str
    """Of its lease, in this turn."""


class Runner:
    """The operations that one process carries out."""

    def __init__(
        self,
        bus: Bus,
        kinds: Mapping[str, Kind],
        *,
        begun: asyncio.Event | None = None,
        lease_ms: int = LEASE_MS,
        every_s: float = EVERY_S,
    ) -> None:
        """`begun`: set by whoever has begun one in this process, so that it is not waited for."""
        self._bus = bus
        self._begun = begun or asyncio.Event()
        self._kinds = kinds
        self._lease_ms = lease_ms
        self._every_s = every_s
        self._running: set[str] = set()

    async def run(self) -> None:
        """Until it is cancelled; what is under way then is left for others."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                try:
                    for taken in await self.take_due():
                        tasks.create_task(self.carry_out(taken), name="operation")
                except BusUnavailableError as error:
                    log.debug("operations cannot be looked for", extra={"reason": log_text(error)})
                except Exception as error:
                    # The top of a task: what is stored is served, whatever the matter is with operations.
                    log.exception("operations cannot be looked for", extra={"reason": log_text(error)})
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._every_s):
                        await self._begun.wait()
                self._begun.clear()

    async def take_due(self) -> list[Taken]:
        """Operations whose lease is held here from now on. BusError: none is."""
        taken: list[Taken] = []
        for operation_id in await due(self._bus):
            if len(self._running) >= AT_ONCE:
                break
            if operation_id in self._running:
                continue
            # Of this turn alone: what an earlier one of this process has still under way is another's.
            one = Taken(operation_id, uuid.uuid4().hex)
            try:
                ours = await take(self._bus, operation_id, one.holder, self._lease_ms)
            except BusUnavailableError as error:
                # What was taken is carried out; this one's lease, should it be held, ends by itself.
                log.debug("operations cannot be taken", extra={"reason": log_text(error)})
                break
            except BusError as error:
                log.error("an operation cannot be taken", extra={"reason": log_text(error)})  # noqa: TRY400
                continue
            if ours:
                self._running.add(operation_id)
                taken.append(one)
        return taken

    async def carry_out(self, taken: Taken) -> None:
        """One turn at an operation that was taken."""
        try:
            await self._carry_out(taken.operation_id, taken.holder)
        except BusError as error:
            # Its lease ends by itself, and whoever takes it then begins at the last step.
            log.warning("an operation cannot be written down", extra={"reason": log_text(error)})
        except Exception as error:
            # The top of a task: one operation must not end the service.
            log.exception("an operation broke off", extra={"reason": log_text(error)})
        finally:
            self._running.discard(taken.operation_id)

    async def _carry_out(self, operation_id: str, holder: str) -> None:
        try:
            operation = await find(self._bus, operation_id)
        except BadEntryError as error:
            log.error("an operation cannot be read", extra={"reason": log_text(error)})  # noqa: TRY400
            operation = None
        kind = self._kinds.get(operation.kind) if operation else None
        if operation is None or kind is None:
            await write(self._bus, operation_id, holder, "later", UNKNOWN_MS, {})
            return
        if operation.lost:
            log.warning(
                "an operation was left behind by a process that ended",
                extra={"kind": operation.kind, "times": operation.lost},
            )
        turn = Turn(self._bus, operation, holder, self._lease_ms)
        try:
            await turn.finish(await self._held(turn, kind))
        except LeaseLostError:
            log.warning("an operation went to another process", extra={"kind": operation.kind})
        except LaterError as later:
            await turn.leave(later.ms, later.trouble, operation.tries + 1 if later.trouble else 0)
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
            if not work.cancelled():
                work.exception()  # of one that was broken off nobody asks what it ended with
        return work.result()


async def _try_again(turn: Turn, error: Exception) -> None:
    trouble = trouble_of(error)
    if trouble.code == "internal":
        log.error("an operation failed", extra={"kind": turn.operation.kind}, exc_info=error)
    tries = turn.operation.tries + 1
    log.warning("an operation is tried again", extra={"kind": turn.operation.kind, "reason": log_text(error)})
    pause_ms = min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** min(tries - 1, 10))
    await turn.leave(pause_ms, trouble, tries)
