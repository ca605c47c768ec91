"""One process' turn at an operation: what it is to do, and where it writes down how far it is.

Owns what may end a turn. Steps may be done twice: a turn ends with its lease, and whoever comes next begins at the last step written down.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from audiobus import Bus
from audiobus.errors import BusUnavailableError
from audiobus.operations import KEPT_MS, Operation, Writing, write
from audiostore.errors import StoreError


class LeaseLostError(Exception):
    """The operation is another's by now: leave off."""


class LaterError(Exception):
    """Nothing more can be done for it now: `ms` from now it goes on."""

    def __init__(self, ms: int, trouble: "Trouble | None" = None) -> None:
        super().__init__(f"goes on in {ms} ms")
        self.ms = ms
        self.trouble = trouble
        """What a part of it failed of, and is tried again then."""


class FailedError(Exception):
    """It failed for good: nobody tries again."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """What an operation, or its last try, failed of."""

    code: str
    """One of the codes of problems."""
    detail: str


def trouble_of(error: Exception) -> Trouble:
    """What is told of an error after which it is tried again."""
    if isinstance(error, BusUnavailableError):
        return Trouble(code="live_unavailable", detail="Redis cannot be reached; it is tried again")
    if isinstance(error, StoreError) and not error.retryable:
        detail = "the bucket refuses an object; its operator has to see to it, and it is tried again"
        return Trouble(code="store_unavailable", detail=detail)
    if isinstance(error, StoreError):
        return Trouble(code="store_unavailable", detail="the bucket cannot be reached; it is tried again")
    return Trouble(code="internal", detail="something went wrong on the server; it is tried again")


@dataclass(slots=True)
class Turn:
    """A turn. Every write holds the lease for `lease_ms` more."""

    bus: Bus
    operation: Operation
    """As it was when the turn began."""
    holder: str
    lease_ms: int

    async def hold(self) -> bool:
        """Whether the lease is still held, now for longer. BusUnavailableError: not known."""
        return await self._write("hold", self.lease_ms, {})

    async def save(self, step: msgspec.Struct, progress: msgspec.Struct) -> None:
        """Writes down how far it is. LeaseLostError; BusUnavailableError."""
        fields: dict[str, bytes | int] = {
            "step": msgspec.json.encode(step),
            "progress": msgspec.json.encode(progress),
            "error": b"",
            "tries": 0,
        }
        if not await self._write("hold", self.lease_ms, fields):
            raise LeaseLostError(self.operation.id)

    async def leave(self, ms: int, trouble: Trouble | None = None, tries: int = 0) -> bool:
        """Gives the lease back; somebody goes on in `ms`. False where it was lost. BusUnavailableError."""
        fields: dict[str, bytes | int] = {"error": _trouble(trouble), "tries": tries}
        return await self._write("later", ms, fields)

    async def finish(self, result: msgspec.Struct | None, trouble: Trouble | None = None) -> bool:
        """It is done, for good or ill. False where the lease was lost. BusUnavailableError."""
        fields: dict[str, bytes | int] = {"error": _trouble(trouble), "tries": 0}
        if result is not None:
            fields["result"] = msgspec.json.encode(result)
        return await self._write("done", KEPT_MS, fields)

    async def _write(self, writing: Writing, ms: int, fields: dict[str, bytes | int]) -> bool:
        return await write(self.bus, self.operation.id, self.holder, writing, ms, fields)


Kind: TypeAlias = Callable[[Turn], Awaitable[msgspec.Struct]]
"""What an operation of one kind does, from the step written down on: answers the result.

LaterError, FailedError; BusUnavailableError and StoreError: it is tried again after a while, and so is everything else, as a defect.
"""


def _trouble(trouble: Trouble | None) -> bytes:
    return b"" if trouble is None else msgspec.json.encode(trouble)
