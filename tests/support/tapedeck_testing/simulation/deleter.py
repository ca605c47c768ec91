"""Whoever deletes a conversation: the tombstone first, then `due`, again until both stand. The rest is the pushers' work."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from audiobus import Conversation, Hints
from audiobus.deletions import set_tombstone
from audiobus.errors import BusUnavailableError
from tapedeck_testing.simulation.services import make_bus
from tapedeck_testing.simulation.substitutes import unix_ms

if TYPE_CHECKING:
    from tapedeck_testing.simulation.recorder import Story
    from tapedeck_testing.simulation.server import Server
    from tapedeck_testing.simulation.virtual_loop import VirtualLoop

AGAIN_S = 0.5


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
