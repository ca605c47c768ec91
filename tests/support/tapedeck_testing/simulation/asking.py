"""The way from whoever asks to a storage-api of a world and back: answers that are lost, requests that come twice, processes that end meanwhile.

Owns one try. Whether to ask again is the asker's business.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tapedeck_testing.simulation.api import Answer, Api, Asked
    from tapedeck_testing.simulation.world import World

LOST: Final = "request: answer lost"
TWICE: Final = "request: sent twice"
PATIENCE_S: Final = (2.0, 50.0)
"""So long somebody waits for an answer before asking again: longer mostly than a flush may take."""


async def ask(world: World, asked: Asked) -> Answer | None:
    """One try; None where nothing was heard of it: it may go on, or be done."""
    api = _some(world)
    if api is None:
        return None
    chance, clock = world.chance, world.loop.time
    answer = api.ask(asked)
    if chance.strikes(TWICE) and (other := _some(world)) is not None:
        # A proxy that lost its connection tries the next one, while the first goes on.
        api, answer = other, other.ask(asked)
    lost = chance.strikes(LOST)
    until_s = clock() + (chance.between(*PATIENCE_S) if chance.dice.random() < 0.3 else PATIENCE_S[1])
    while not answer.done():
        if api.process.dead or clock() > until_s:
            return None
        await asyncio.wait({answer}, timeout=1.0)
    return None if lost else answer.result()


def _some(world: World) -> Api | None:
    takes = [one for one in world.processes.apis if one is not None and one.takes]
    return world.chance.dice.choice(takes) if takes else None
