"""A plain device: it sends each packet once, when it was captured, hears nothing, and knows of no session.

What it captures while it has no line is lost. It keeps no account: what was appended is the ledger's to say.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from tapedeck_testing.simulation.recorder import TICK_S, Story
from tapedeck_testing.simulation.substitutes import unix_ms

if TYPE_CHECKING:
    from collections.abc import Callable

    from tapedeck_testing.simulation.chance import Chance
    from tapedeck_testing.simulation.line import Line
    from tapedeck_testing.simulation.tape import Tape
    from tapedeck_testing.simulation.virtual_loop import VirtualLoop

COMES_BACK_S: Final = (0.1, 2.0)
DELETED: Final = 4404


class PlainRecorder:
    """One device and its tapes."""

    dialect: Final = "plain"

    def __init__(
        self,
        loop: VirtualLoop,
        chance: Chance,
        tapes: list[Tape],
        connect: Callable[[PlainRecorder, Tape, str, int | None], Line | None],
    ) -> None:
        self._loop = loop
        self._chance = chance
        self._connect = connect
        self.stories = [Story(tape, plain=True) for tape in tapes]
        self._story = self.stories[0]
        self._line: Line | None = None
        self.done = False

    async def run(self) -> None:
        """Records everything."""
        for story in self.stories:
            self._story = story
            await self._record(story)
            self._drop(half_open_s=None if self._chance.dice.random() < 0.5 else 1.0)
            story.done = True
        self.done = True

    def heard(self, line: Line, text: str) -> None:
        """It does not listen."""

    def lost(self, line: Line, code: int) -> None:
        if line is self._line:
            self._line = None
            self._story.gone |= code == DELETED

    async def _record(self, story: Story) -> None:
        tape, index, came = story.tape, 0, False
        await asyncio.sleep(max(0, tape.captured_ms[0] - unix_ms(self._loop)) / 1000)
        while not story.gone:
            if self._line is None:
                self._line = self._connect(self, tape, tape.cid, None)
                index = tape.due(unix_ms(self._loop)) if came else 0
                came |= self._line is not None
            due = tape.due(unix_ms(self._loop))
            if self._line is not None and index < due:
                self._line.put([*tape.packets[index:due]])
            index = due
            if due == len(tape.packets):
                await asyncio.sleep(TICK_S)  # for what is on its way
                return
            await asyncio.sleep(TICK_S)
            self._break()
            if self._line is None:
                await asyncio.sleep(self._chance.between(*COMES_BACK_S))

    def _break(self) -> None:
        chance = self._chance
        if chance.strikes("line: cut", TICK_S):
            self._drop(half_open_s=None)
        elif chance.strikes("line: half-open", TICK_S):
            self._drop(half_open_s=chance.between(0.1, 20.0))
        elif chance.strikes("socket: taken over", TICK_S):
            self._drop(half_open_s=chance.between(0.0, 5.0))
            self._line = self._connect(self, self._story.tape, self._story.tape.cid, None)

    def _drop(self, *, half_open_s: float | None) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.give_up(half_open_s=half_open_s)
