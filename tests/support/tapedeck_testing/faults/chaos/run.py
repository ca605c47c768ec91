"""A run of chaos: a fleet of devices, readers beside them, faults in every lane, and then the verdict.

Owns the order of things and who does which kind of fault.
"""

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import httpx
import msgspec
import redis

from audiobus.errors import BusError
from tapedeck_testing.faults.chaos import on_bucket, on_processes
from tapedeck_testing.faults.chaos.kinds import Blow, Lane, plan
from tapedeck_testing.faults.chaos.on_redis import REDIS_FAULTS
from tapedeck_testing.faults.chaos.options import SILENT_S, ChaosOptions
from tapedeck_testing.faults.chaos.report import ChaosOutcome
from tapedeck_testing.faults.chaos.rest import Rest
from tapedeck_testing.faults.chaos.system import System
from tapedeck_testing.faults.chaos.wishes import Wishes
from tapedeck_testing.faults.fleet import Fleet
from tapedeck_testing.faults.reading import ReaderSpec
from tapedeck_testing.faults.soak import AFTER_S, AGAIN_PAUSE_S, AGAIN_S, load_specs

Say = Callable[[str], None]
Strike = Callable[[Blow, random.Random], Awaitable[int]]

NOT_CARRIED_OUT: Final = (redis.RedisError, OSError, BusError, httpx.TransportError, TimeoutError, ValueError)
"""What a fault may meet because of another one."""


async def chaos(options: ChaosOptions, directory: Path, say: Say) -> ChaosOutcome:
    """Runs it in a directory of its own; `say` is told each fault."""
    blows = plan(options.soak.seed, options.soak.seconds, options.kinds(), options.soak.every_s)
    outcome = ChaosOutcome(options, Counter(blow.kind.name for blow in blows))
    system = System(options, directory)
    try:
        await system.start()
        specs = load_specs(system.stack, system.address, options.soak)
        facts = system.stack.facts
        readers = ReaderSpec(facts["storage_api"], facts["service_token"], options.readers)
        lasts_s = options.recorded_at_most_s
        specs = [
            msgspec.structs.replace(
                spec, readers=readers, silent_s=SILENT_S, seconds=lasts_s, deadline_s=lasts_s + AFTER_S
            )
            for spec in specs
        ]
        devices = [device for spec in specs for device in spec.devices]
        fleet, wishes = Fleet(specs, directory), Wishes(system, devices)
        striking = Striking(system, wishes, outcome, say)
        seen = await fleet.run(partial(striking.run, blows))
        say(f"{striking.elapsed_s:6.1f} s  the devices have ended")
        outcome.reads = fleet.reads
        rest = Rest(system, say)
        await rest.check(devices, seen, wishes.gone)
        outcome.accounts, outcome.wrong, outcome.notes = rest.accounts, rest.wrong, rest.notes
        outcome.notes["conversations deleted"] = str(len(wishes.gone))
    finally:
        await system.stop()
    return outcome


class Striking:
    """Does the faults of one run: those of a lane one after the other, the lanes beside each other."""

    def __init__(self, system: System, wishes: Wishes, outcome: ChaosOutcome, say: Say) -> None:
        self._system = system
        self._wishes = wishes
        self._outcome = outcome
        self._say = say
        self._lanes = {lane: asyncio.Lock() for lane in Lane}
        self._tasks: list[asyncio.Task[None]] = []
        self._began = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Since the devices began."""
        return time.monotonic() - self._began

    async def run(self, blows: Sequence[Blow], fleet: Fleet) -> None:
        """All of them, each at its time, or once its lane is free; then what has not hit yet until it does, and the devices end."""
        self._began = time.monotonic()
        for blow in blows:
            await asyncio.sleep(max(0.0, blow.at_s - self.elapsed_s))
            self._tasks.append(asyncio.create_task(self._in_turn(blow, fleet)))
        for task in self._tasks:
            await asyncio.shield(task)
        until_s = self.elapsed_s + AGAIN_S
        for blow in blows:
            while blow.kind.name in self._outcome.never_hit():
                await asyncio.shield(asyncio.create_task(self._one(blow, fleet)))
                if self.elapsed_s > until_s:
                    break
                await asyncio.sleep(AGAIN_PAUSE_S)
        await asyncio.sleep(max(0.0, self._system.options.soak.seconds - self.elapsed_s))
        await fleet.ask("end 1")

    async def _in_turn(self, blow: Blow, fleet: Fleet) -> None:
        async with self._lanes[blow.kind.lane]:
            late = self.elapsed_s > self._system.options.soak.seconds
            # What its lane had no time for is left out, unless it is what the run still has to show.
            if not late or blow.kind.name in self._outcome.never_hit():
                await self._one(blow, fleet)

    async def _one(self, blow: Blow, fleet: Fleet) -> None:
        begun_s, tally = self.elapsed_s, self._outcome.tally
        try:
            hits = await self._strike(blow, fleet)
        except NOT_CARRIED_OUT as error:
            tally.trouble.append(f"{blow.kind.name}: {type(error).__name__}: {error}")
            hits = 0
        tally.note(blow.kind, hits)
        self._say(f"{begun_s:6.1f} s  {blow.kind.name:<32} {self.elapsed_s - begun_s:5.1f} s  {hits} hits")

    async def _strike(self, blow: Blow, fleet: Fleet) -> int:
        system, chance = self._system, random.Random(blow.seed)
        if (redis_fault := REDIS_FAULTS.get(blow.kind.name)) is not None:
            return await redis_fault(system, blow, chance)
        if blow.kind.name in on_bucket.HOWS:
            return await on_bucket.spoil(system, blow, chance)
        others: dict[str, Callable[[], Awaitable[int]]] = {
            "pusher killed": lambda: on_processes.kill_pusher(system, chance),
            "pusher stopped beyond its lease": lambda: on_processes.stop_pusher(system, chance),
            "pusher restarted": lambda: on_processes.restart_pusher(system, chance),
            "listen killed": lambda: on_processes.kill_listen(system, chance, signal.SIGKILL),
            "listen stopped": lambda: on_processes.stop_listen(system, chance),
            "listen restarted": lambda: on_processes.kill_listen(system, chance, signal.SIGTERM),
            "storage-api killed": lambda: on_processes.kill_storage_api(system, chance),
            "lines cut": lambda: fleet.ask(f"cut {blow.share:.3f}"),
            "finalize storm": lambda: fleet.ask(f"finalize {blow.share:.3f}"),
            "flush storm": lambda: self._wishes.flush(blow.share, chance),
            "conversation deleted": lambda: self._wishes.delete(chance),
            "bucket away": lambda: on_bucket.away(system, blow, chance),
            "bucket away for minutes": lambda: on_bucket.away_for_minutes(system, blow, chance),
            "disk full": lambda: on_bucket.fill_disk(system, blow, chance),
        }
        return await others[blow.kind.name]()
