"""The operator of a world, who deals with dead letters: each is tried again once, what fails again is dropped, and so are some that need not be.

Owns what was dropped: nobody may miss it. The rest is the product's own commands (`audiobus.dead_letters`, `audiobus.deletions`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from audiobus import Conversation
from audiobus.dead_letters import look, mark, marked_ms, tries
from audiobus.deletions import discard
from audiobus.errors import BusUnavailableError
from tapedeck_testing.simulation.history import Given
from tapedeck_testing.simulation.services import make_bus
from tapedeck_testing.simulation.substitutes import unix_ms

if TYPE_CHECKING:
    from audiobus.letter import Letter
    from tapedeck_testing.simulation.recorder import Story
    from tapedeck_testing.simulation.world import World

LOOKS_S: Final = (1.0, 5.0)
COMES_S: Final = (0.0, 25.0)
"""When the first look is: until then what was buried stays buried, and nothing else is done to its conversation."""
ASKS_AGAIN_MS: Final = 20_000
"""A letter that nobody has tried for so long is marked once more."""
DROPS: Final = (0.1, 0.8)
"""Of the letters, so many are dropped although another try might help: few in one world, most in another, for another try finds what was stored all the same."""


class Operator:
    """Looks again and again, as long as the world goes on."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._drops = world.chance.dice.choice(DROPS)
        self.dropped: dict[str, list[Given]] = {}
        """By the tags of the conversations: what nobody may miss."""
        self.letters = 0
        """How many were tried again, or dropped."""

    async def run(self) -> None:
        """Until it is cancelled."""
        await asyncio.sleep(self._world.chance.between(*COMES_S))
        while True:
            await asyncio.sleep(self._world.chance.between(*LOOKS_S))
            for story in self._world.stories:
                try:
                    await self._deal_with(story)
                except BusUnavailableError:
                    continue

    async def _deal_with(self, story: Story) -> None:
        bus = make_bus(self._world.server, self._world.wait_replicas)
        conversation = Conversation(story.tape.uid, story.tape.cid)
        async for found in look(bus, conversation):
            letter, chance = found.letter, self._world.chance
            now_ms = unix_ms(self._world.loop)
            # A Redis that lost its last writes may know no more that another try was asked for, although the letter says so.
            if letter is None or now_ms - (marked_ms(letter) or 0) < ASKS_AGAIN_MS:
                continue
            self.letters += 1
            if tries(letter) or chance.dice.random() < self._drops:
                chance.note(f"{conversation.tag}: letter {found.id} is dropped")
                self.dropped.setdefault(conversation.tag, []).append(_held(letter))
                await discard(bus, conversation, letter.entry.id, now_ms)
            else:
                chance.note(f"{conversation.tag}: letter {found.id} is to be tried again")
                await mark(bus, conversation, letter.entry.id, now_ms)


def _held(letter: Letter) -> Given:
    return Given(letter.entry.id.epoch, letter.first_offset, letter.entry.id.offset)
