"""Keeping the lease of a conversation while it is drained.

Thrift, not safety: two pushers that drain the same conversation do the work twice, never wrongly. So nothing here stops a worker whose
lease was lost.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from audiobus.bus import Bus
from audiobus.conversation import Conversation
from audiobus.errors import BusError
from servicekit.ending import end

LEASE_MS: Final = 30_000
"""How long a conversation waits for a dead pusher at most; a living one renews three times in it."""


@dataclass(slots=True)
class Held:
    """A lease while it is held."""

    holder: str
    given_back: bool = False
    """Set by whoever gives it back before the end."""


@asynccontextmanager
async def holding(bus: Bus, conversation: Conversation, holder: str, lease_ms: int) -> AsyncIterator[Held]:
    """Renews a lease that was taken, while inside, and gives it back at the end."""
    held = Held(holder)
    keeper = asyncio.create_task(_renew(bus, conversation, holder, lease_ms, held), name="lease")
    try:
        yield held
    finally:
        # Not a cancel and a wait: one can get lost in redis-py, and then the lease would be renewed, and waited for, for ever.
        await end([keeper])
        if not held.given_back:
            # A lease that cannot be given back runs out by itself.
            with suppress(BusError):
                await bus.release_lease(conversation, holder)


async def _renew(bus: Bus, conversation: Conversation, holder: str, lease_ms: int, held: Held) -> None:
    while True:
        await asyncio.sleep(lease_ms / 3000)
        if held.given_back:
            return
        # Losing it costs work done twice, never audio.
        with suppress(BusError):
            await bus.take_lease(conversation, holder, lease_ms)
