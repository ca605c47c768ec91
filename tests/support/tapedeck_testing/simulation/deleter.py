"""Whoever deletes a conversation, or what a user has recorded so far: the tombstone first, then `due`, again until both stand. The rest is the pushers' work."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audiobus import Conversation, Hints
from audiobus.deletions import set_tombstone, set_user_tombstone
from audiobus.errors import BusUnavailableError
from tapedeck_testing.simulation.services import make_bus
from tapedeck_testing.simulation.substitutes import unix_ms

if TYPE_CHECKING:
    from tapedeck_testing.simulation.recorder import Story
    from tapedeck_testing.simulation.server import Server
    from tapedeck_testing.simulation.virtual_loop import VirtualLoop

AGAIN_S = 0.5


@dataclass(slots=True)
class Forgetting:
    """What a user recorded before a moment is deleted."""

    before_ms: int
    """Unix ms."""
    stands_s: float | None = None
    """Since when the tombstone stands, by the loop's clock: from then on nothing of it is put any more, or it goes again."""


async def delete(loop: VirtualLoop, server: Server, story: Story, wait_replicas: int) -> None:
    """Deletes the conversation of the story; returns when the tombstone stands and somebody will look."""
    bus = make_bus(server, wait_replicas)
    conversation = Conversation(story.tape.uid, story.tape.cid)
    while True:
        try:
            await set_tombstone(bus, conversation, unix_ms(loop))
            await Hints(bus).due(conversation, unix_ms(loop))
        except BusUnavailableError:
            await asyncio.sleep(AGAIN_S)
        else:
            return


async def delete_user(
    loop: VirtualLoop, server: Server, uid: str, forgetting: Forgetting, wait_replicas: int
) -> None:
    """Deletes what the user recorded before that; returns when the tombstone stands and somebody will look at their conversations."""
    bus = make_bus(server, wait_replicas)
    while True:
        try:
            await set_user_tombstone(bus, uid, forgetting.before_ms)
            if forgetting.stands_s is None:
                forgetting.stands_s = loop.time()
            for conversation in await bus.live(uid):
                await Hints(bus).due(conversation, unix_ms(loop))
        except BusUnavailableError:
            await asyncio.sleep(AGAIN_S)
        else:
            return
