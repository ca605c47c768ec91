"""The devices of a world: what each of them records, and its way to some listener.

Owns how many there are and of which kind. What they do is `recorder`'s and `plain_recorder`'s.
"""

from __future__ import annotations

from contextvars import Context
from typing import TYPE_CHECKING, Final

from tapedeck_testing.simulation.chance import LOSSY
from tapedeck_testing.simulation.line import Line
from tapedeck_testing.simulation.plain_recorder import PlainRecorder
from tapedeck_testing.simulation.recorder import Recorder
from tapedeck_testing.simulation.substitutes import EPOCH_MS, unix_ms
from tapedeck_testing.simulation.tape import record
from tapedeck_testing.simulation.virtual_loop import PROCESS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tapedeck_testing.simulation.chance import Chance
    from tapedeck_testing.simulation.processes import Processes
    from tapedeck_testing.simulation.tape import Tape
    from tapedeck_testing.simulation.virtual_loop import Process, VirtualLoop

PCM: Final = 0.12
"""Of the devices, so many send PCM."""
PLAIN: Final = 0.1
"""So many are plain ones, where Redis keeps what it confirmed."""


class Devices:
    """All of one world."""

    def __init__(
        self,
        loop: VirtualLoop,
        chance: Chance,
        processes: Processes,
        harm: Callable[[Process, str], None],
        *,
        lossy: bool,
    ) -> None:
        """`lossy`: Redis may lose what it confirmed: they keep what is not stored."""
        self._loop = loop
        self._chance = chance
        self._processes = processes
        self._harm = harm
        self._lossy = lossy
        self._owners = 0
        self.recorders = [self._recorder(number) for number in range(chance.dice.choice((1, 1, 2)))]

    def _recorder(self, number: int) -> Recorder | PlainRecorder:
        chance, dice = self._chance, self._chance.dice
        uid = f"u{number}"
        tapes: list[Tape] = []
        start_ms = EPOCH_MS + dice.randrange(500, 3000)
        kind = dice.random()
        for at in range(dice.choice((1, 1, 2))):
            tape = record(10 * number + at, uid, f"c{at}", start_ms, chance, pcm=kind < PCM)
            tapes.append(tape)
            start_ms = tape.end_ms + dice.choice((60, 1500))
        if PCM <= kind < PCM + PLAIN and not chance.has(LOSSY):
            return PlainRecorder(self._loop, chance, tapes, self._connect)
        return Recorder(
            self._loop,
            chance,
            tapes,
            self._connect,
            keep="stored" if self._lossy else "acked",
            strict=not chance.has(LOSSY) and not self._processes.skewed,
        )

    def _connect(
        self, recorder: Recorder | PlainRecorder, tape: Tape, cid: str, session: int | None
    ) -> Line | None:
        listeners = [one for one in self._processes.listeners if one is not None and one.takes]
        if not listeners:
            return None
        listener = self._chance.dice.choice(listeners)
        self._owners += 1
        owner = f"socket{self._owners}"
        self._chance.note(f"{owner} of device {tape.number} comes to {listener.process.name}")
        line = Line(self._loop, self._chance, recorder, listener.process, self._harm)
        context = Context()
        context.run(PROCESS.set, listener.process)
        there_s = self._chance.between(0.002, 0.05)
        # A process that was stopped reads it later, and knows from the kernel when it came (`listen.arrival`).
        arrived_ms = unix_ms(self._loop, there_s) + listener.process.skew_ms
        self._loop.call_later(
            there_s,
            listener.accept,
            line,
            arrived_ms,
            tape,
            cid,
            session,
            owner,
            recorder.dialect,
            context=context,
        )
        return line
