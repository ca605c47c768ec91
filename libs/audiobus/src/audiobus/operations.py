"""Operations: what takes longer than a request may, written down so that any process can go on with it.

Owns who carries one out: whoever holds its lease. Every script that writes compares that, so a process that was taken for dead changes
nothing any more. All times are Redis' own. What an operation does, and how its texts are to be read, is its kind's business.
"""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from audiobus.bus import Bus
from audiobus.connection import translated
from audiobus.errors import BadEntryError, TooManyOperationsError
from audiobus.script import Argument, script

KEPT_MS: Final = 7 * 24 * 3_600_000
"""What is done is known for so long."""
BEGUN_KEPT_MS: Final = 3_600_000
"""`begun` tells of what is done that was begun so long before the last one,"""
BEGUN_KEPT: Final = 1_000
"""and with that one of so many."""
LIMIT: Final = 64
"""Operations that are looked at together."""
LOST_PAUSE_MS: Final = 10_000
LONGEST_LOST_PAUSE_MS: Final = 600_000
"""How long an operation is left alone whose process ended without a word, from the second time in a row on: twice as long each time."""
LOST: Final = b'{"code":"internal","detail":"the process that carried it out ended, several times in a row; it is tried again"}'
"""What such an operation tells, as `error`."""

Writing = Literal["hold", "later", "done"]


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation as it stood when it was read."""

    id: str
    kind: str
    uid: str
    """Whose audio it is about, and who may see it."""
    request: bytes
    """What was asked for: JSON."""
    step: bytes
    """How far it is, for whoever goes on with it: JSON, empty at the beginning."""
    progress: bytes
    """The same for people: JSON, empty at the beginning."""
    error: bytes
    """Why it failed, or what the last try failed of: JSON, empty where it did not."""
    result: bytes
    """What came of it: JSON, empty until it is done."""
    created_ms: int
    """When it was begun, unix ms."""
    tries: int
    """How often in a row a try failed."""
    lost: int
    """How often in a row a process that held it ended without giving it back: killed, or hung."""
    done: bool

    @classmethod
    def read(cls, operation_id: str, fields: Mapping[bytes, bytes]) -> "Operation":
        """From the hash.

        Raises:
            BadEntryError: a field that no script of ours wrote.
        """
        try:
            return cls(
                id=operation_id,
                kind=fields[b"kind"].decode(),
                uid=fields[b"uid"].decode(),
                request=fields[b"request"],
                step=fields.get(b"step", b""),
                progress=fields.get(b"progress", b""),
                error=fields.get(b"error", b""),
                result=fields.get(b"result", b""),
                created_ms=int(fields[b"created"]),
                tries=int(fields.get(b"tries", b"0")),
                lost=int(fields.get(b"lost", b"0")),
                done=b"done" in fields,
            )
        except (KeyError, ValueError) as error:
            raise BadEntryError(f"operation {operation_id}: {error!r}") from error


async def begin(
    bus: Bus, operation_id: str, kind: str, uid: str, request: bytes, *, most: int | None = None
) -> bool:
    """Writes down an operation, to be carried out at once; False where there is one of that id: it stays as it is.

    `most`: so many of this kind may be undone for this user, with this one; None for any number.

    Raises:
        TooManyOperationsError: as many are undone; nothing is written.
        NotReplicatedError: it is carried out, unless a failover loses it. Begin it again.
        BusUnavailableError: not known whether it is written down. Begin it again.
    """
    args: list[Argument] = [operation_id, most or 0, KEPT_MS, BEGUN_KEPT_MS, BEGUN_KEPT]
    args += ["kind", kind, "uid", uid, "request", request]
    keys = [*_keys(bus, operation_id), bus.keys.operations_of(kind, uid)]
    answer = int(await script("op_begin").run(bus.client, keys, args, wait_replicas=bus.wait_replicas))
    if answer < 0:
        raise TooManyOperationsError(f"{most} operations of the kind {kind} are undone for the user")
    return bool(answer)


async def undone(bus: Bus, kind: str, uid: str) -> list[str]:
    """Ids of the operations of this kind that are undone for this user, in the order in which they were begun. BusUnavailableError."""
    keys = [bus.keys.operations(), bus.keys.operations_of(kind, uid)]
    return [one.decode() for one in await script("op_undone").run(bus.client, keys, [])]


async def begun(bus: Bus, kind: str, uid: str) -> dict[str, int]:
    """When the operations of this kind were begun for this user, unix ms, by id: all that are undone, and as many of those that are done as are kept.

    Raises:
        BusUnavailableError: Redis does not answer.
    """
    rows = await bus.command("ZRANGE", bus.keys.operations_of(kind, uid), 0, -1, "WITHSCORES")
    return {one.decode(): int(at_ms) for one, at_ms in zip(rows[::2], rows[1::2], strict=True)}


@dataclass(frozen=True, slots=True)
class Counts:
    """How many operations there are."""

    undone: int
    due: int
    """Of these, those that somebody should have taken by now: few, and never for long."""
    failing: int
    """Of these, those whose last try failed."""


async def count(bus: Bus) -> Counts:
    """How many there are now. BusUnavailableError."""
    keys = [bus.keys.operations(), bus.keys.operations_failing()]
    return Counts(*(int(one) for one in await script("op_count").run(bus.client, keys, [])))


async def find(bus: Bus, operation_id: str) -> Operation | None:
    """The operation; None where there is none of that id, or it is forgotten.

    Raises:
        BadEntryError: it cannot be read.
        BusUnavailableError: Redis does not answer.
    """
    rows: Any
    with translated("HGETALL"):
        key = bus.keys.operation(operation_id)
        rows = await cast("Awaitable[Any]", bus.client.execute_command("HGETALL", key))
    pairs = rows if isinstance(rows, dict) else dict(zip(rows[::2], rows[1::2], strict=True))
    return Operation.read(operation_id, pairs) if pairs else None


async def due(bus: Bus) -> list[str]:
    """Ids of operations that must be looked at now, the longest due first."""
    ids = await script("op_due").run(bus.client, [bus.keys.operations()], [LIMIT])
    return [one.decode(errors="replace") for one in ids]


async def take(bus: Bus, operation_id: str, holder: str, lease_ms: int) -> bool:
    """Takes the operation's lease for so long; False where another holds it, it is left alone for a while, or there is nothing to do.

    `holder`: a name that no other turn has, also not an earlier one of this process.
    """
    args: list[Argument] = [operation_id, holder, lease_ms, LOST, LOST_PAUSE_MS, LONGEST_LOST_PAUSE_MS]
    keys = [*_keys(bus, operation_id), bus.keys.operations_failing()]
    return bool(await script("op_take").run(bus.client, keys, args))


async def write(
    bus: Bus,
    operation_id: str,
    holder: str,
    writing: Writing,
    ms: int,
    fields: Mapping[str, bytes | int],
) -> bool:
    """Writes down how far it is: `step`, `progress`, `error`, `result`, `tries`. False where the lease is another's by now: leave off.

    Args:
        bus: the bus.
        operation_id: which.
        holder: who holds its lease.
        writing: `hold` it for `ms` from now; give it back and have it looked at in `ms` (`later`); or it is `done`, and kept for `ms`.
        ms: see there.
        fields: what changes.

    Raises:
        BusUnavailableError: not known whether it is written. Write it again, or leave it to whoever takes it next: steps may be done twice.
    """
    args: list[Argument] = [operation_id, holder, writing, ms]
    for name, value in fields.items():
        args += [name, value]
    # What is told to be done must not be undone by a failover.
    wait = bus.wait_replicas if writing == "done" else 0
    keys = [*_keys(bus, operation_id), bus.keys.operations_failing()]
    return bool(await script("op_write").run(bus.client, keys, args, wait_replicas=wait))


def _keys(bus: Bus, operation_id: str) -> list[str]:
    """The keys with which every script of operations begins."""
    return [bus.keys.operation(operation_id), bus.keys.operations()]
