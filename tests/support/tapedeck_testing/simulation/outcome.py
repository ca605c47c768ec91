"""What came of one history: it is played to its end in surroundings of its own, and everything that was told on the way is kept.

Owns what stands around a world (loop, clocks, logs) and is put back afterwards. What happens in it is `world`'s.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tapedeck_testing.simulation.chance import NOTHING_FIXED, UNHINTED, Chance, Fixed
from tapedeck_testing.simulation.substitutes import surroundings
from tapedeck_testing.simulation.virtual_loop import OUTSIDE, START_S, StuckError, VirtualLoop
from tapedeck_testing.simulation.world import World

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping, Sequence

MOST_STEPS: Final = 400_000
DEFECTS: Final = logging.ERROR
EXPECTED: Final = ("a batch that cannot be made is given up: its entries are looked at one by one",)
"""Errors that are no defects here: chunks that a build cannot read are a kind of fault."""
FIRST_WALK_S: Final = 30.0
NEVER_S: Final = 1e9


@dataclass(slots=True)
class Outcome:
    """What came of a history."""

    seed: int
    wrong: list[str]
    hits: Counter[str]
    digest: int
    """The same for the same seed."""
    trace: list[str] = field(default_factory=list)
    commands: int = 0
    puts: int = 0
    looks: int = 0
    """How often a reader looked at a conversation, and was answered."""
    virtual_s: float = 0.0


class _Defects(logging.Handler):
    """What the product logged as a defect of its own."""

    def __init__(self) -> None:
        super().__init__(DEFECTS)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage() not in EXPECTED and record.exc_info and record.exc_info[0] is not None:
            kind, error, trace = record.exc_info
            last = trace
            while last is not None and last.tb_next is not None:
                last = last.tb_next
            where = f"{last.tb_frame.f_code.co_filename.rpartition('/')[2]}:{last.tb_lineno}" if last else ""
            self.found.append(f"{record.getMessage()}: {kind.__name__}: {error} ({where})")


def run(
    seed: int,
    *,
    faults: Sequence[str] | Mapping[str, float] | None = None,
    mutants: Mapping[str, str] | None = None,
    walks: bool | None = None,
    fixed: Fixed = NOTHING_FIXED,
    tracing: bool = False,
) -> Outcome:
    """The history of one seed.

    `faults`: only these kinds; None leaves it to the seed, but for those that are `fixed`. `mutants`: digests of scripts, and what is run in
    their place. `walks`: whether pushers walk over all buffers now and then; None: where they need to, for what was to be put on `due` may
    have been lost.
    """
    chance = Chance(seed, faults, fixed=fixed, tracing=tracing)
    loop = VirtualLoop(most_steps=MOST_STEPS, work_s=lambda: chance.between(0.0002, 0.02))
    chance.now = loop.time
    defects = _Defects()
    root = logging.getLogger()
    level, handlers, disabled = root.level, root.handlers[:], root.manager.disable
    root.handlers[:] = [defects]
    root.setLevel(DEFECTS)
    logging.disable(DEFECTS - 1)
    try:
        walks = any(map(chance.has, UNHINTED)) if walks is None else walks
        with surroundings(loop, chance, first_walk_s=FIRST_WALK_S if walks else NEVER_S):
            world = World(loop, chance, dict(mutants or {}))
            try:
                found = loop.run_until_complete(world.live())
            except StuckError as error:
                found = [str(error)]
            finally:
                logging.disable(logging.CRITICAL)  # what is taken apart complains
                loop.bury([OUTSIDE, *world.processes.all])
                loop.close()
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.disable(disabled)
    found += defects.found + loop.failures
    return Outcome(
        seed,
        found,
        chance.hits,
        chance.digest,
        chance.lines,
        world.server.commands,
        world.bucket.puts + (world.second.puts if world.second is not None else 0),
        world.looks,
        loop.time() - START_S,
    )
