"""When a bucket is back: whoever waited for it is looked at at once, spread, not when its next look happens to fall due.

Owns that and nothing else. Another process' conversations are its own business: each has a circuit of its own.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from audiobus.errors import BusError
from audiobus.hints import Hints
from pusher.buckets import Buckets
from pusher.retries import Retries
from servicekit.stop import Stop

log = logging.getLogger(__name__)

APART_MS: Final = 5
"""Between two of them: two hundred a second, more than a bucket takes."""
WAIT_S: Final = 1.0
"""How long at most until it is seen that the process shall end."""


async def look_again(buckets: Buckets, retries: Retries, hints: Hints, now_ms: Callable[[], int]) -> int:
    """Puts those that waited on `due` for now; how many.

    Raises:
        BusUnavailableError: Redis went away; they are due within half a minute anyway.
    """
    waiting = dict.fromkeys([*retries.store_is_back(), *buckets.take_waiting()])
    for number, conversation in enumerate(waiting):
        await hints.due(conversation, now_ms() + number * APART_MS)
    return len(waiting)


async def run(
    buckets: Buckets, retries: Retries, hints: Hints, now_ms: Callable[[], int], stop: Stop
) -> None:
    """Does so each time a bucket is back, until `stop`."""
    while not stop.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(buckets.back.wait(), WAIT_S)
        if not buckets.back.is_set():
            continue
        buckets.back.clear()
        try:
            count = await look_again(buckets, retries, hints, now_ms)
        except BusError as error:
            log.warning("those that waited for the bucket are not looked at yet", extra={"error": str(error)})
        else:
            log.info("looking at those that waited for the bucket", extra={"conversations": count})
