"""Many histories, in several processes if wanted, and what they come to together."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from tapedeck_testing.simulation.chance import NOTHING_FIXED, Fixed
from tapedeck_testing.simulation.outcome import run

CHUNK: Final = 50
"""Seeds that a job takes at once."""
CHUNKS: Final = 100
"""After so many a process is replaced by a new one."""

clock = time.monotonic
"""The real one: a world has its own."""


@dataclass(slots=True)
class Tally:
    """Of many histories."""

    seeds: int = 0
    failed: list[tuple[int, str]] = field(default_factory=list)
    hits: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    """In how many histories each fault hit."""
    commands: int = 0
    puts: int = 0
    looks: int = 0
    virtual_s: float = 0.0

    def add(self, other: "Tally") -> None:
        """Both together."""
        self.seeds += other.seeds
        self.failed += other.failed
        self.hits += other.hits
        self.struck += other.struck
        self.commands += other.commands
        self.puts += other.puts
        self.looks += other.looks
        self.virtual_s += other.virtual_s


def some(seeds: range, fixed: Fixed = NOTHING_FIXED) -> Tally:
    """Runs them one after another."""
    tally = Tally()
    for seed in seeds:
        outcome = run(seed, fixed=fixed)
        tally.seeds += 1
        tally.hits += outcome.hits
        tally.struck += Counter(dict.fromkeys(outcome.hits, 1))
        tally.commands += outcome.commands
        tally.puts += outcome.puts
        tally.looks += outcome.looks
        tally.virtual_s += outcome.virtual_s
        if outcome.wrong:
            tally.failed.append((seed, "; ".join(outcome.wrong[:3])))
    return tally


def many(seeds: range, jobs: int, seconds: float | None, fixed: Fixed = NOTHING_FIXED) -> Iterator[Tally]:
    """Runs them, a part at a time, until `seconds` are over."""
    ends = None if seconds is None else clock() + seconds
    parts = (range(at, min(at + CHUNK, seeds.stop)) for at in range(seeds.start, seeds.stop, CHUNK))
    if jobs == 1:
        for part in parts:
            if ends is not None and clock() > ends:
                return
            yield some(part, fixed)
        return
    with ProcessPoolExecutor(jobs, max_tasks_per_child=CHUNKS) as pool:
        running: set[Future[Tally]] = set()
        while True:
            for part in islice(parts, 2 * jobs - len(running) if ends is None or clock() < ends else 0):
                running.add(pool.submit(some, part, fixed))
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
