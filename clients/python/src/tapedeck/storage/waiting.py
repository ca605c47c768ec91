"""Waiting for an operation to be done. Plans only."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from tapedeck.errors import OperationFailedError, OperationPendingError, StorageAwayError, UnavailableError
from tapedeck.storage.caller import Caller
from tapedeck.storage.calls import call, segment
from tapedeck.storage.plan import Pause, Plan, clock_s
from tapedeck.storage.retries import Retries
from tapedeck.storage_types import Operation

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 10.0

OperationProgress = Callable[[Operation], None]
"""Told the operation each time that it was looked at."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The job of waiting for one."""

    id: str
    deadline_s: float | None
    progress: OperationProgress | None

    def plan(self, caller: Caller) -> Plan[Operation]:
        """The operation as it ended. Raises OperationFailedError, OperationPendingError, StorageError."""
        began_s = yield from clock_s()
        asked = 0
        seen: Operation | None = None
        look = call(Operation, "GET", f"/v1/operations/{segment(self.id)}")
        while True:
            try:
                seen = yield from caller.carry_out(look, (yield from self._patience(caller.retries, began_s)))
            except (StorageAwayError, UnavailableError):
                if self.deadline_s is None:
                    raise
            else:
                if self.progress is not None:
                    self.progress(seen)
                if seen.done:
                    return _succeeded(seen)
            pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 1.5 ** min(asked, 30)) * (1 + caller.dice()) / 2
            asked += 1
            if self.deadline_s is not None:
                left_s = began_s + self.deadline_s - (yield from clock_s())
                if left_s <= 0:
                    raise OperationPendingError(
                        f"operation {self.id} was not done within {self.deadline_s:g} s", seen
                    )
                pause_s = min(pause_s, left_s)
            yield Pause(pause_s)

    def _patience(self, usual: Retries, began_s: float) -> Plan[Retries]:
        """That of one look: a server that says it is away is not waited for beyond the deadline."""
        if self.deadline_s is None:
            return usual
        left_s = began_s + self.deadline_s - (yield from clock_s())
        return replace(usual, refused_for_s=min(usual.refused_for_s, max(0.0, left_s)))


def _succeeded(operation: Operation) -> Operation:
    if operation.error is None:
        return operation
    text = operation.error.detail or operation.error.code
    raise OperationFailedError(
        f"operation {operation.id} ({operation.kind}) failed: {text}",
        operation,
        code=operation.error.code,
        detail=operation.error.detail,
    )
