"""What people hear of a bucket that is away: logs, `/readyz?verbose`.

Owns the words and how often they are said. A conversation's own failures are the worker's to tell.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from pusher.buckets import Buckets
from pusher.circuit import Phase
from pusher.guarded_store import GuardedStore
from servicekit.health import Health
from servicekit.stop import Stop

log = logging.getLogger(__name__)

TICK_S: Final = 1.0
AGAIN_S: Final = 60.0
"""An operator who has to act is told once more after this."""
CHECKS: Final = {"first": "store", "second": "fallback store"}


def tell_change(bucket: GuardedStore, before: Phase) -> None:
    """Logs that a bucket went away, or is back."""
    where = CHECKS[bucket.name]
    match bucket.circuit.phase:
        case Phase.CLOSED:
            log.warning("the %s is back", where, extra={"was": before.value})
        case Phase.OPEN:
            log.warning(
                "the %s is away: everything stays in Redis, and one conversation after another tries",
                where,
                extra={"error": bucket.circuit.why},
            )
        case Phase.PAUSED:
            tell_operator(bucket)


def tell_operator(bucket: GuardedStore) -> None:
    """Says loudly what somebody has to mend."""
    log.critical(
        "the %s refuses us: everything stays in Redis until somebody mends it",
        CHECKS[bucket.name],
        extra={"error": bucket.circuit.why},
    )


async def report(
    health: Health, buckets: Buckets, stop: Stop, unopened: Callable[[str], str] = lambda _name: ""
) -> None:
    """Keeps `/readyz` true until `stop`, and reminds the operator. A bucket that is only away leaves the pusher ready: it waits for it.

    `unopened`: why the bucket of this name ("first", "second") is not open, or not used as it should be; empty where it is.
    """
    clock = asyncio.get_running_loop()
    told_s: dict[str, float] = {}
    while not stop.is_set():
        for bucket in buckets.all:
            name, circuit = CHECKS[bucket.name], bucket.circuit
            match circuit.phase:
                case Phase.CLOSED if why := unopened(bucket.name):
                    health.fail(name, why)
                case Phase.CLOSED:
                    health.ok(name)
                case Phase.OPEN:
                    health.warn(name, f"away, tried every few seconds: {circuit.why}")
                case Phase.PAUSED:
                    health.fail(name, f"an operator has to act: {circuit.why}")
            if circuit.phase is not Phase.PAUSED:
                told_s.pop(name, None)
            elif clock.time() - told_s.setdefault(name, clock.time()) >= AGAIN_S:
                told_s[name] = clock.time()
                tell_operator(bucket)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), TICK_S)
