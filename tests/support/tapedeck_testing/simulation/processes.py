"""The processes of a world: who runs, and what kills, stops, ends and restarts them.

Owns their lives, and that none ends unasked. What is in them is `services`'; when something strikes is `disturbance`'s.
"""

from __future__ import annotations

from contextvars import Context
from typing import TYPE_CHECKING, Any, Final

from tapedeck_testing.simulation.api import Api
from tapedeck_testing.simulation.services import Listener, Pusher
from tapedeck_testing.simulation.turning_points import TURN
from tapedeck_testing.simulation.virtual_loop import PROCESS, Process, VirtualLoop

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from tapedeck_testing.simulation.bucket import Bucket
    from tapedeck_testing.simulation.chance import Chance
    from tapedeck_testing.simulation.counting import Counting
    from tapedeck_testing.simulation.line import Line
    from tapedeck_testing.simulation.server import Server
    from tapedeck_testing.simulation.services import Batches

CALM_STOP_S: Final = 15.0
"""One that is stopped when all other faults have ended goes on so soon: two of them in a row leave time to come to rest."""


class Processes:
    """All of one world, the dead ones too."""

    def __init__(
        self,
        loop: VirtualLoop,
        chance: Chance,
        server: Server,
        buckets: tuple[Bucket, Bucket | None],
        batches: Batches,
        wait_replicas: int,
        counting: Counting | None,
        *,
        asks: bool,
    ) -> None:
        """Decides how many there are; none runs before `start`. `asks`: somebody asks a storage-api."""
        dice = chance.dice
        self._loop = loop
        self._chance = chance
        self._server = server
        self._buckets = buckets
        self._batches = batches
        self._wait_replicas = wait_replicas
        self._counting = counting
        self.skewed = dice.random() < 0.2
        """Whether the clocks of their machines differ."""
        self.listeners: list[Listener | None] = [None] * dice.choice((1, 2, 2))
        self.pushers: list[Pusher | None] = [None] * dice.choice((1, 2, 2, 3))
        self.apis: list[Api | None] = [None] * chance.parts.choice((1, 2, 2) if asks else (0,))
        self.all: list[Process] = []
        self.problems: list[str] = []
        self._calm = self._ending = False

    def start(self) -> None:
        """All of them."""
        for slot in range(len(self.listeners)):
            self.start_listener(slot)
        self.start_pushers()
        for slot in range(len(self.apis)):
            self.start_api(slot)

    def start_pushers(self) -> None:
        """New ones, in the place of those that run."""
        for slot in range(len(self.pushers)):
            self.start_pusher(slot)

    @property
    def living(self) -> list[Listener | Pusher | Api]:
        """The services that run, or are stopped."""
        every = (*self.listeners, *self.pushers, *self.apis)
        return [one for one in every if one is not None and not one.process.dead]

    def heal(self) -> None:
        """Nothing strikes any more; what was stopped goes on."""
        self._calm = True
        for process in self.all:
            if process.paused and not process.dead:
                self._loop.carry_on(process)

    def stop_pushers(self) -> list[Process]:
        """Asks them to end, for good. One that is killed may just have written a cut down, over no more than the opening of a session."""
        self._ending = True
        pushers = [one for one in self.pushers if one is not None]
        for pusher in pushers:
            self._carry_on(pusher.process)
            self.ask_to_end(pusher)
        return [one.process for one in pushers]

    def kill_all(self) -> None:
        """Whatever is left."""
        self._ending = True
        for one in self.living:
            self._end(one.process, [])
        self.problems += [text for api in self.apis if api is not None for text in api.problems]

    def _process(self, name: str) -> Process:
        skew_ms = self._chance.dice.randrange(-1500, 1500) if self.skewed else 0
        process = Process(name, skew_ms)
        self.all.append(process)
        return process

    def start_listener(self, slot: int) -> None:
        before = self.listeners[slot]
        if before is not None:
            self._end(before.process, before.lines)
        process = self._process(f"listen{slot}.{len(self.all)}")
        listener = Listener(self._loop, process, self._server, self._batches, self._wait_replicas)
        self.listeners[slot] = listener
        self._loop.spawn(process, self._watched(listener.run(), process), process.name)

    def start_pusher(self, slot: int) -> None:
        before = self.pushers[slot]
        if before is not None:
            self._end(before.process, [])
        # A restarted process has its old name; a new pod a new one.
        name = f"pusher{slot}" if self._chance.dice.random() < 0.7 else f"pusher{slot}.{len(self.all)}"
        process = self._process(name)
        pusher = Pusher(
            self._loop,
            process,
            self._server,
            self._buckets,
            self._batches,
            self._wait_replicas,
            self._chance,
            self._counting,
        )
        self.pushers[slot] = pusher
        self._loop.spawn(process, self._watched(pusher.run(), process), process.name)

    def start_api(self, slot: int) -> None:
        before = self.apis[slot]
        if before is not None:
            self._end(before.process, [])
            self.problems += before.problems
        process = self._process(f"api{slot}.{len(self.all)}")
        api = Api(self._loop, process, self._server, self._buckets, self._wait_replicas)
        self.apis[slot] = api
        self._loop.spawn(process, self._watched(api.run(), process), process.name)

    async def _watched(self, work: Coroutine[Any, Any, None], process: Process) -> None:
        """Until its end, which must be one that it was asked for."""
        try:
            await work
        except Exception as error:  # noqa: BLE001 - whatever ends a process is a defect
            self.problems.append(f"{process.name} died of {type(error).__name__}: {error}")
        self._chance.note(f"{process.name} has ended")
        process.dead = True
        if not self._ending:
            self._loop.call_later(self._chance.between(0.1, 3.0), self._restart, process, context=Context())

    def _end(self, process: Process, lines: list[Line]) -> None:
        self._loop.kill(process)
        self._server.forget_blocked(process)
        for line in lines:
            line.process_died()

    def _restart(self, process: Process) -> None:
        for slot, listener in enumerate(self.listeners):
            if listener is not None and listener.process is process:
                self.start_listener(slot)
        for at, pusher in enumerate(self.pushers):
            if pusher is not None and pusher.process is process:
                self.start_pusher(at)
        for at, api in enumerate(self.apis):
            if api is not None and api.process is process:
                self.start_api(at)

    def ask_to_end(self, service: Listener | Pusher | Api) -> None:
        """As SIGTERM does."""
        if service.stop is not None and not service.process.dead and not service.process.paused:
            context = Context()
            context.run(PROCESS.set, service.process)
            self._loop.call_soon(service.stop.set, context=context)

    def harm(self, process: Process, kind: str) -> None:
        """Kills or stops it, for a while."""
        if process.dead or process.name == "outside" or self._ending or (self._calm and kind != TURN):
            return
        self._chance.note(f"{process.name}: {kind}")
        if kind.startswith("process: stopped"):
            if not process.paused:
                process.paused = True
                after_s = self._chance.between(0.2, CALM_STOP_S if self._calm else 25.0)
                self._loop.call_later(after_s, self._carry_on, process, context=Context())
            return
        self._end(process, self._lines(process))
        self._loop.call_later(self._chance.between(0.05, 8.0), self._restart, process, context=Context())

    def _carry_on(self, process: Process) -> None:
        if process.paused and not process.dead:
            self._chance.note(f"{process.name} goes on")
            self._loop.carry_on(process)

    def _lines(self, process: Process) -> list[Line]:
        return next((one.lines for one in self.listeners if one is not None and one.process is process), [])
