"""One history: a whole system with its devices, from the first packet until everything is at rest, under the faults of its seed.

Owns who lives when: what kills, stops, restarts and disturbs, and the end, when all of that ceases. What is right is `history`'s.
"""

from __future__ import annotations

import asyncio
import logging
from contextvars import Context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from audiobus import Conversation
from audiobus.census import exact
from audiobus.keys import Keys
from audiostore.key_ring import KeySource
from audiostore.names import ROOT
from servicekit.problem import ProblemError
from tapedeck_testing.simulation.bucket import LATEST_S, Bucket
from tapedeck_testing.simulation.chance import LOSSY, Chance
from tapedeck_testing.simulation.disturbance import disturb, fail_over
from tapedeck_testing.simulation.history import Books, by_conversation, opened, readable, wrong
from tapedeck_testing.simulation.line import Line
from tapedeck_testing.simulation.recorder import Recorder, Story
from tapedeck_testing.simulation.server import Server
from tapedeck_testing.simulation.services import (
    DRAIN_S,
    KEYS,
    Batches,
    Listener,
    Pusher,
    make_bus,
    make_recordings,
)
from tapedeck_testing.simulation.substitutes import EPOCH_MS, UNTIL_MS, surroundings, unix_ms
from tapedeck_testing.simulation.tape import record
from tapedeck_testing.simulation.virtual_loop import (
    OUTSIDE,
    PROCESS,
    START_S,
    Process,
    StuckError,
    VirtualLoop,
)

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping, Sequence

    from tapedeck_testing.simulation.tape import Tape

MOST_STEPS: Final = 400_000
FAULTS_S: Final = (4.0, 30.0)
"""So long faults go on."""
SECOND: Final = 0.3
"""Of the worlds, so many have a second bucket."""
DEVICES_S: Final = 240.0
"""Devices that are not through so long after the last fault never will be."""
REST_S: Final = 700.0
"""Audio that waits so long after that waits for ever: no pause between two tries is longer than five minutes."""
DEFECTS: Final = logging.ERROR


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
        if record.exc_info and record.exc_info[0] is not None:
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
    tracing: bool = False,
) -> Outcome:
    """The history of one seed.

    `faults`: only these kinds; None leaves it to the seed. `mutants`: digests of scripts, and what is run in their place.
    """
    chance = Chance(seed, faults, tracing=tracing)
    loop = VirtualLoop(most_steps=MOST_STEPS, work_s=lambda: chance.between(0.0002, 0.02))
    chance.now = loop.time
    defects = _Defects()
    root = logging.getLogger()
    level, handlers, disabled = root.level, root.handlers[:], root.manager.disable
    root.handlers[:] = [defects]
    root.setLevel(DEFECTS)
    logging.disable(DEFECTS - 1)
    try:
        with surroundings(loop, seed):
            world = World(loop, chance, dict(mutants or {}))
            try:
                found = loop.run_until_complete(world.live())
            except StuckError as error:
                found = [str(error)]
            finally:
                logging.disable(logging.CRITICAL)  # what is taken apart complains
                loop.bury([OUTSIDE, *world.processes])
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


class World:
    """The whole system."""

    def __init__(self, loop: VirtualLoop, chance: Chance, mutants: dict[str, str]) -> None:
        dice = chance.dice
        self.loop = loop
        self.chance = chance
        self.keys = Keys()
        self.server = Server(loop, chance, self.harm, mutants)
        self.bucket = Bucket(loop, chance, self.harm)
        self.second = Bucket(loop, chance, self.harm, "second bucket") if dice.random() < SECOND else None
        self.batches = Batches(dice)
        self.wait_replicas = int(chance.has(LOSSY) and dice.random() < 0.4)
        self.lossy = chance.has(LOSSY) and not self.wait_replicas
        self.skewed = dice.random() < 0.2
        self.processes: list[Process] = []
        self.listeners: list[Listener | None] = [None] * dice.choice((1, 2, 2))
        self.pushers: list[Pusher | None] = [None] * dice.choice((1, 2, 2, 3))
        self._born = 0
        self._owners = 0
        self._calm = self._ending = False
        self.deleting: list[asyncio.Task[None]] = []
        """Deletions under way."""
        self.looks = 0
        self.problems: list[str] = []
        self.recorders = [self._recorder(number) for number in range(dice.choice((1, 1, 2)))]

    def _recorder(self, number: int) -> Recorder:
        dice = self.chance.dice
        uid = f"u{number}"
        tapes: list[Tape] = []
        start_ms = EPOCH_MS + dice.randrange(500, 3000)
        for at in range(dice.choice((1, 1, 2))):
            tape = record(10 * number + at, uid, f"c{at}", start_ms, self.chance)
            tapes.append(tape)
            start_ms = tape.end_ms + dice.choice((60, 1500))
        return Recorder(
            self.loop,
            self.chance,
            tapes,
            self._connect,
            keep="stored" if self.lossy else "acked",
            strict=not self.chance.has(LOSSY) and not self.skewed,
        )

    # -- life ----------------------------------------------------------------------------------------------------------

    async def live(self) -> list[str]:
        """The whole history; what was wrong with it."""
        for slot in range(len(self.listeners)):
            self.start_listener(slot)
        for slot in range(len(self.pushers)):
            self.start_pusher(slot)
        living = [asyncio.create_task(recorder.run()) for recorder in self.recorders]
        living.append(asyncio.create_task(self._read()))
        ending = self.loop.time() + self.chance.between(*FAULTS_S)
        while self.loop.time() < ending and not self._recorded():
            await asyncio.sleep(1.0)
            disturb(self)
            self.server.watch.limits()
        self._heal()
        if not await self._by(DEVICES_S, self._recorded):
            self.problems.append("the devices do not come to an end")
        if self.chance.dice.random() < 0.7:
            # Whoever has just started knows of no failures, and tries at once.
            for slot in range(len(self.pushers)):
                self.start_pusher(slot)
        if self.deleting:
            await asyncio.wait(self.deleting)
            # Until it is sure that nothing of it can still land.
            await asyncio.sleep((UNTIL_MS + 20_000) / 1000)
        if not await self._by(REST_S, self._rests):
            self.problems.append("audio waits for ever")
        await self._end_all(living)
        return await self._judge()

    def _recorded(self) -> bool:
        return all(recorder.done for recorder in self.recorders)

    async def _end_all(self, living: list[asyncio.Task[None]]) -> None:
        for task in living:
            task.cancel()
        await asyncio.wait(living)
        for task in living:
            if not task.cancelled() and (error := task.exception()):
                raise error
        await self._stop_pushers()
        for one in self.listeners:
            if one is not None:
                self._end(one.process, [])
        # What was on its way to the bucket may still land.
        await asyncio.sleep(LATEST_S + 1.0)

    async def _stop_pushers(self) -> None:
        """They are asked to: one that is killed may just have written a cut down, over no more than the opening of a session."""
        self._ending = True
        pushers = [one for one in self.pushers if one is not None]
        for pusher in pushers:
            self.ask_to_end(pusher)
        if not await self._by(DRAIN_S + 2.0, lambda: all(one.process.dead for one in pushers)):
            self.problems.append("a pusher does not end when it is asked to")
            for pusher in pushers:
                self._end(pusher.process, [])

    async def _by(self, within_s: float, there: Any) -> bool:
        deadline = self.loop.time() + within_s
        while not there():
            if self.loop.time() > deadline:
                return False
            await asyncio.sleep(0.5)
            self.server.watch.limits()
        return True

    # -- processes -----------------------------------------------------------------------------------------------------

    def _process(self, name: str) -> Process:
        self._born += 1
        skew_ms = self.chance.dice.randrange(-1500, 1500) if self.skewed else 0
        process = Process(name, skew_ms)
        self.processes.append(process)
        return process

    def start_listener(self, slot: int) -> None:
        before = self.listeners[slot]
        if before is not None:
            self._end(before.process, before.lines)
        process = self._process(f"listen{slot}.{self._born}")
        listener = Listener(self.loop, process, self.server, self.batches, self.wait_replicas)
        self.listeners[slot] = listener
        self.loop.spawn(process, self._watched(listener.run(), process), process.name)

    def start_pusher(self, slot: int) -> None:
        before = self.pushers[slot]
        if before is not None:
            self._end(before.process, [])
        # A restarted process has its old name; a new pod a new one.
        name = f"pusher{slot}" if self.chance.dice.random() < 0.7 else f"pusher{slot}.{self._born}"
        process = self._process(name)
        pusher = Pusher(
            self.loop,
            process,
            self.server,
            (self.bucket, self.second),
            self.batches,
            self.wait_replicas,
            self.chance,
        )
        self.pushers[slot] = pusher
        self.loop.spawn(process, self._watched(pusher.run(), process), process.name)

    async def _watched(self, work: Any, process: Process) -> None:
        """Until its end, which must be one that it was asked for."""
        try:
            await work
        except Exception as error:  # noqa: BLE001 - whatever ends a process is a defect
            self.problems.append(f"{process.name} died of {type(error).__name__}: {error}")
        self.chance.note(f"{process.name} has ended")
        process.dead = True
        if not self._ending:
            self.loop.call_later(self.chance.between(0.1, 3.0), self._restart, process, context=Context())

    def _end(self, process: Process, lines: list[Line]) -> None:
        self.loop.kill(process)
        self.server.forget_blocked(process)
        for line in lines:
            line.process_died()

    def _restart(self, process: Process) -> None:
        for slot, listener in enumerate(self.listeners):
            if listener is not None and listener.process is process:
                self.start_listener(slot)
        for at, pusher in enumerate(self.pushers):
            if pusher is not None and pusher.process is process:
                self.start_pusher(at)

    def ask_to_end(self, service: Listener | Pusher) -> None:
        """As SIGTERM does."""
        if service.stop is not None and not service.process.dead and not service.process.paused:
            context = Context()
            context.run(PROCESS.set, service.process)
            self.loop.call_soon(service.stop.set, context=context)

    def harm(self, process: Process, kind: str) -> None:
        """Kills or stops it, for a while."""
        if process.dead or process.name == "outside" or self._calm:
            return
        self.chance.note(f"{process.name}: {kind}")
        if kind.startswith("process: stopped"):
            if not process.paused:
                process.paused = True
                after_s = self.chance.between(0.2, 25.0)
                self.loop.call_later(after_s, self._carry_on, process, context=Context())
            return
        lines = next((one.lines for one in self.listeners if one is not None and one.process is process), [])
        self._end(process, lines)
        self.loop.call_later(self.chance.between(0.05, 8.0), self._restart, process, context=Context())

    def _carry_on(self, process: Process) -> None:
        if process.paused and not process.dead:
            self.chance.note(f"{process.name} goes on")
            self.loop.carry_on(process)

    # -- devices -------------------------------------------------------------------------------------------------------

    def _connect(self, recorder: Recorder, tape: Tape, session: int | None) -> Line | None:
        listeners = [one for one in self.listeners if one is not None and one.takes]
        if not listeners:
            return None
        listener = self.chance.dice.choice(listeners)
        self._owners += 1
        owner = f"socket{self._owners}"
        self.chance.note(f"{owner} of device {tape.number} comes to {listener.process.name}")
        line = Line(self.loop, self.chance, recorder, listener.process)
        context = Context()
        context.run(PROCESS.set, listener.process)
        there_s = self.chance.between(0.002, 0.05)
        # A process that was stopped reads it later, and knows from the kernel when it came (`listen.arrival`).
        arrived_ms = unix_ms(self.loop, there_s) + listener.process.skew_ms
        self.loop.call_later(
            there_s,
            listener.accept,
            line,
            arrived_ms,
            tape.uid,
            tape.cid,
            session,
            owner,
            context=context,
        )
        return line

    def _heal(self) -> None:
        """No more faults: what was stopped goes on, what was killed comes back."""
        self.chance.calm()
        self._calm = True
        self.server.away_until = self.server.full_until = self.bucket.away_until = 0.0
        if self.second is not None:
            self.second.away_until = 0.0
        self.server.model.maxmemory = 0
        if self.server.lagging:
            fail_over(self)
        for process in self.processes:
            if process.paused and not process.dead:
                self.loop.carry_on(process)

    # -- looking -------------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        """Looks at a conversation now and then, as storage-api does."""
        recordings = make_recordings(self.loop, self.server, (self.bucket, self.second))
        while True:
            await asyncio.sleep(self.chance.between(0.3, 4.0))
            stories = [story for recorder in self.recorders for story in recorder.stories if story.spells]
            if not stories:
                continue
            story = self.chance.dice.choice(stories)
            acked = [(spell.epoch, spell.acked - spell.base) for spell in story.spells]
            try:
                recording = await recordings.look(Conversation(story.tape.uid, story.tape.cid))
            except ProblemError:
                continue
            if recording.tail is None:
                continue
            self.looks += 1
            spans = [piece.span for piece in recording.pieces]
            if not self.lossy and not story.deleted:
                found = readable(acked, spans)
                self.problems += [f"{story.tape.cid} at {self.loop.time():.3f}: {text}" for text in found]

    async def _books(self, story: Story) -> Books:
        conversation = Conversation(story.tape.uid, story.tape.cid)
        balance = await exact(make_bus(self.server, 0), conversation)
        return Books(self._waits(story), balance)

    def _waits(self, story: Story) -> bool:
        """Whether anything of it is still to be stored."""
        conversation = Conversation(story.tape.uid, story.tape.cid)
        execute = self.server.model.execute
        # The opening of a session alone is no audio: an open that was executed late may leave one.
        rows = execute(["XRANGE", self.keys.audio(conversation), "-", "+"])
        return (
            any(row[1][0] == b"c" for row in rows)
            or execute(["HEXISTS", self.keys.conv(conversation), "cut"]) == 1
        )

    def _rests(self) -> bool:
        if self.loop.time() <= self.server.late_until:
            return False  # what is on its way may still write something down
        if self.second is not None and any(name.startswith(ROOT) for name in self.second.objects):
            return False  # it is to be moved home
        return not any(self._waits(story) for recorder in self.recorders for story in recorder.stories)

    async def _judge(self) -> list[str]:
        found = [*self.problems, *self.server.watch.problems]
        ring = KeySource(KEYS).ring()
        # What lies in both under one name is the same audio, and played once.
        both = {**(self.second.objects if self.second is not None else {}), **self.bucket.objects}
        objects = by_conversation({name: held for name, held in both.items() if name.startswith(ROOT)})
        for recorder in self.recorders:
            for story in recorder.stories:
                where = (story.tape.uid, story.tape.cid)
                spans = []
                for held in objects.pop(where, []):
                    inside, said = opened(held, *where, ring)
                    spans += inside
                    found += said
                said = wrong(story, spans, await self._books(story), lossy=self.lossy)
                found += [f"{'/'.join(where)}: {text}" for text in said]
        found += [f"objects of nobody: {where}" for where in objects]
        return found
