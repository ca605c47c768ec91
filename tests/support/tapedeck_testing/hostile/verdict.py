"""Running an attack and saying what it did: the answers, what the process still holds, how its neighbours fared.

Owns the judgement. The attack is over when its clients are gone; then the process has a while to let go of everything.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tapedeck_testing.hostile.attack import Attack
from tapedeck_testing.hostile.neighbours import Neighbours, Window
from tapedeck_testing.hostile.server import Server
from tapedeck_testing.hostile.vitals import MIB, Vitals, forget_peak, peak_bytes

QUIET_S: Final = 1.5
AT_ONCE: Final = 50
LET_GO_S: Final = 25.0
LOOKS: Final = 3
STEP_S: Final = 0.05
DISTURBED_S: Final = 1.0
DISTURBED_TIMES: Final = 20
"""Neighbours whose middle ack comes so much later than this many times the usual are disturbed: an event loop that stood still, not a busy machine."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one attack, or of some that ran side by side."""

    name: str
    answers: Counter[str]
    wrong: tuple[str, ...]
    """Answers that are not right, and anything else that may not be."""
    peak_bytes: int
    """Above what was held before."""
    kept_bytes: int
    descriptors_left: int
    tasks_left: int
    sockets_left: int
    quiet: Window
    """The neighbours before it."""
    loud: Window
    """The neighbours meanwhile."""

    @property
    def ratio(self) -> float | None:
        """The neighbours' middle ack delay over the one without the attack; None where either is not known."""
        if not self.quiet.middle_s or self.loud.middle_s is None:
            return None
        return self.loud.middle_s / self.quiet.middle_s

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong


class Bench:
    """A server, its neighbours, and how they fare when nobody attacks."""

    def __init__(self, server: Server, neighbours: Neighbours) -> None:
        self.server = server
        self.neighbours = neighbours
        self._quiet: Window | None = None

    async def rest(self) -> None:
        """Listens to the neighbours while nothing is going on: what comes later is compared with it."""
        await self.neighbours.window()
        await asyncio.sleep(QUIET_S)
        self._quiet = await self.neighbours.window()

    async def judge(self, name: str, attacks: Sequence[Attack], *, times: int | None = None) -> Verdict:
        """Runs attacks side by side, each at most `times` at once."""
        if self._quiet is None:
            await self.rest()
        assert self._quiet is not None
        server, neighbours = self.server, self.neighbours
        before = await _highest(server)
        forget_peak(server.pid)
        await neighbours.window()
        runs = [attack for attack in attacks for _ in range(min(attack.times, times or attack.times))]
        turns = asyncio.Semaphore(AT_ONCE)
        given = await asyncio.gather(*(_run(attack, server, turns) for attack in runs))
        loud = await neighbours.window()
        missing, closed = await neighbours.settle()
        peak = max(0, peak_bytes(server.pid) - before.memory_bytes)
        may_keep = max(attack.kept_bytes for attack in attacks)
        after = await _let_go(server, before, may_keep)
        kept = max(0, after.memory_bytes - before.memory_bytes)
        left = {
            "descriptors": max(0, after.descriptors - before.descriptors),
            "tasks": max(0, after.tasks - before.tasks),
            "sockets": max(0, after.connections - before.connections),
        }

        wrong = [
            f"{attack.name}: {answer}, not {' or '.join(attack.right)}"
            for (attack, answer), _ in Counter(zip(runs, given, strict=True)).items()
            if not attack.is_right(answer)
        ]
        allowed = max(attack.peak_bytes for attack in attacks)
        checks = (
            (missing, f"{missing} neighbours miss acks"),
            (closed, f"neighbours were closed: {closed}"),
            (_disturbed(self._quiet, loud), f"neighbours' acks came {loud.middle_s} s late"),
            (peak > allowed, f"{peak // MIB} MiB at its peak, not {allowed // MIB}"),
            (kept > may_keep, f"{kept // MIB} MiB kept"),
            *((number, f"{number} {what} left") for what, number in left.items()),
        )
        wrong += [text for is_wrong, text in checks if is_wrong]
        return Verdict(
            name=name,
            answers=Counter(
                answer if len(attacks) == 1 else f"{attack.name}: {answer}"
                for attack, answer in zip(runs, given, strict=True)
            ),
            wrong=tuple(wrong),
            peak_bytes=peak,
            kept_bytes=kept,
            descriptors_left=left["descriptors"],
            tasks_left=left["tasks"],
            sockets_left=left["sockets"],
            quiet=self._quiet,
            loud=loud,
        )


def _disturbed(quiet: Window, loud: Window) -> bool:
    return (loud.middle_s or 0.0) > DISTURBED_S + DISTURBED_TIMES * (quiet.middle_s or 0.0)


async def _run(attack: Attack, server: Server, turns: asyncio.Semaphore) -> str:
    """Those that wait do so beside all others; of these only some at once, for the machine's sake."""
    try:
        if attack.waits:
            return await attack.run(server)
        async with turns:
            return await attack.run(server)
    except (ConnectionError, TimeoutError, ValueError) as error:
        # A broken answer is an answer, too: the table has it.
        return f"{type(error).__name__}: {str(error)[:200]}"


async def _highest(server: Server) -> Vitals:
    """What is held while only the neighbours are there: their tasks come and go."""
    looks = [await server.look() for _ in range(LOOKS)]
    return Vitals(
        memory_bytes=max(one.memory_bytes for one in looks),
        descriptors=max(one.descriptors for one in looks),
        threads=max(one.threads for one in looks),
        connections=max(one.connections for one in looks),
        tasks=max(one.tasks for one in looks),
    )


async def _let_go(server: Server, before: Vitals, may_keep: int) -> Vitals:
    """Looks until everything is back, or time is up; the last look."""
    deadline = time.monotonic() + LET_GO_S
    while True:
        now = await server.look()
        back = (
            now.descriptors <= before.descriptors
            and now.tasks <= before.tasks
            and now.connections <= before.connections
            and now.memory_bytes <= before.memory_bytes + may_keep
        )
        if back or time.monotonic() > deadline:
            return now
        await asyncio.sleep(STEP_S)
