"""Where a pusher is stopped in the middle of its work: between what it has seen and what it writes down, and where it took something back.

Owns which requests these are. Of all its requests they are a few in a hundred, so one that is stopped anywhere is seldom stopped here, and
hardly ever twice in one turn, or beside another one that is.
"""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from audiobus.script import script

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tapedeck_testing.simulation.chance import Chance
    from tapedeck_testing.simulation.virtual_loop import Process

TURN: Final = "process: stopped at a turn"
LEFT: Final = 2
"""So many may still be stopped when all other faults have ended: most is cut then."""
BEFORE: Final = ("cut", "recut", "finish")
"""What rests on what was seen before."""
AFTER: Final = ("uncut", "bury")
"""What takes away what others may have seen."""


class Stop(Enum):
    """When whoever sends a request is stopped."""

    BEFORE = auto()
    AFTER = auto()
    """It hears what came of it when it goes on."""


@cache
def _stops() -> dict[str, Stop]:
    return {
        script(name).digest: stop
        for names, stop in ((BEFORE, Stop.BEFORE), (AFTER, Stop.AFTER))
        for name in names
    }


def stops(chance: Chance, command: Sequence[Any]) -> Stop | None:
    """Whether whoever sends this is stopped now."""
    if not chance.has(TURN) or command[0] != "EVALSHA":
        return None
    stop = _stops().get(command[1])
    return stop if stop is not None and chance.strikes(TURN, calm_too=LEFT) else None


async def stop_before(process: Process, harm: Callable[[Process, str], None]) -> None:
    """What comes next happens when it goes on."""
    harm(process, TURN)
    await asyncio.sleep(0)
