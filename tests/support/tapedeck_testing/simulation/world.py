"""One history: a whole system with its devices, from the first packet until everything is at rest, under the faults of its seed.

Owns who lives when: what kills, stops, restarts and disturbs, and the end, when all of that ceases. What is right is `history`'s.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from audiobus import Conversation
from audiobus.keys import Keys
from pusher.scheduler import WALK_S
from servicekit.problem import ProblemError
from tapedeck_testing.simulation.bucket import LATEST_S, Bucket
from tapedeck_testing.simulation.chance import LOSSY, Chance
from tapedeck_testing.simulation.counting import Counting
from tapedeck_testing.simulation.cut_out import came_back
from tapedeck_testing.simulation.devices import Devices
from tapedeck_testing.simulation.disturbance import disturb, fail_over
from tapedeck_testing.simulation.history import readable
from tapedeck_testing.simulation.ledger import DAMAGED
from tapedeck_testing.simulation.merger import Merger
from tapedeck_testing.simulation.operator import Operator
from tapedeck_testing.simulation.part_deleter import PartDeleter
from tapedeck_testing.simulation.plain_recorder import PlainRecorder
from tapedeck_testing.simulation.processes import Processes
from tapedeck_testing.simulation.recorder import Story
from tapedeck_testing.simulation.server import TIMEOUT_S, Server
from tapedeck_testing.simulation.services import DRAIN_S, Batches, make_recordings
from tapedeck_testing.simulation.substitutes import UNREADABLE, UNTIL_MS
from tapedeck_testing.simulation.verdict import judge, lacks_a_hint, rests, swept
from tapedeck_testing.simulation.whole_deleter import WholeDeleter

if TYPE_CHECKING:
    from tapedeck_testing.simulation.deleter import Forgetting
    from tapedeck_testing.simulation.recorder import Story
    from tapedeck_testing.simulation.virtual_loop import Process, VirtualLoop

FAULTS_S: Final = (4.0, 30.0)
"""So long faults go on."""
SECOND: Final = 0.3
"""Of the worlds, so many have a second bucket, where it is not fixed."""
COUNTED: Final = 0.25
"""In so many pushers count all audio (`pusher.census`)."""
DEVICES_S: Final = 240.0
"""Devices that are not through so long after the last fault never will be."""
ASKING_S: Final = 240.0
"""So it is with whoever asks for something."""
PLAIN_S: Final = 6.0
"""So long after its end all is appended of what a plain device has sent."""
REST_S: Final = 60.0
"""Audio that waits so long after that waits for something that was lost: no lease, no pause between two tries, no look at what is on `due` and
no walk after a Redis that lost something takes half of it (`substitutes`); most worlds need two seconds, and none of thousands more than 12.
What a lost hint was all that spoke of is found by the walk over all buffers, each WALK_S."""


class World:
    """The whole system."""

    def __init__(self, loop: VirtualLoop, chance: Chance, mutants: dict[str, str]) -> None:
        dice = chance.dice
        self.loop = loop
        self.chance = chance
        self.keys = Keys()
        self.server = Server(loop, chance, self._harm, mutants)
        self.bucket = Bucket(loop, chance, self._harm)
        has_second = dice.random() < SECOND or chance.fixed.second
        self.second = Bucket(loop, chance, self._harm, "second bucket") if has_second else None
        self.batches = Batches(dice)
        self.wait_replicas = int(chance.has(LOSSY) and dice.random() < 0.4)
        self.lossy = chance.has(LOSSY) and not self.wait_replicas
        self.counting = Counting() if dice.random() < COUNTED else None
        self.processes = Processes(
            loop,
            chance,
            self.server,
            (self.bucket, self.second),
            self.batches,
            self.wait_replicas,
            self.counting,
            asks=chance.asks and not self.lossy,
        )
        self.deleting: list[asyncio.Task[None]] = []
        """Deletions under way."""
        self.forgetting: dict[str, Forgetting] = {}
        """Users whose recordings are deleted up to a moment."""
        self.operator = Operator(self)
        self.part_deleter = PartDeleter(self)
        self.merger = Merger(self)
        self.whole_deleter = WholeDeleter(self)
        self.looks = 0
        self.problems: list[str] = []
        self.recorders = Devices(loop, chance, self.processes, self._harm, lossy=self.lossy).recorders

    @property
    def stories(self) -> list[Story]:
        """What each tape's device has seen."""
        return [story for recorder in self.recorders for story in recorder.stories]

    @property
    def conversations(self) -> list[Conversation]:
        """Those that are recorded into, and those that others are merged into."""
        recorded = [Conversation(story.tape.uid, story.tape.cid) for story in self.stories]
        merged = [Conversation(one.uid, one.target) for one in self.merger.merges]
        return [*dict.fromkeys([*recorded, *merged])]

    def _harm(self, process: Process, kind: str) -> None:
        self.processes.harm(process, kind)

    # -- life ----------------------------------------------------------------------------------------------------------

    async def live(self) -> list[str]:
        """The whole history; what was wrong with it."""
        self.processes.start()
        living = [asyncio.create_task(recorder.run()) for recorder in self.recorders]
        living.append(asyncio.create_task(self._read()))
        if any(self.chance.has(kind) for kind in (DAMAGED, UNREADABLE)):
            living.append(asyncio.create_task(self.operator.run()))
        self._ask()
        ending = self.loop.time() + self.chance.between(*FAULTS_S)
        while self.loop.time() < ending and not (self._recorded() and self._asked()):
            await asyncio.sleep(1.0)
            disturb(self)
            self.server.watch.once_a_second()
        self._heal()
        if not await self._by(DEVICES_S, self._recorded):
            self.problems.append("the devices do not come to an end")
        await self._by(ASKING_S, self._asked)
        self.part_deleter.end()
        self.merger.end()
        self.whole_deleter.end()
        if any(isinstance(recorder, PlainRecorder) for recorder in self.recorders):
            await asyncio.sleep(PLAIN_S)
        if self.chance.dice.random() < 0.7:
            # Whoever has just started knows of no failures, and tries at once.
            self.processes.start_pushers()
        if self.deleting:
            await asyncio.wait(self.deleting)
        merged = any(merge.deletes for merge in self.merger.merges)
        if self.deleting or merged or self.whole_deleter.acts:
            # Until it is sure that nothing of it can still land.
            await asyncio.sleep((UNTIL_MS + 20_000) / 1000)
        await self._sweep()
        if not (
            await self._by(REST_S, lambda: rests(self))
            or (lacks_a_hint(self) and await self._by(WALK_S, lambda: rests(self)))
        ):
            self.problems.append("audio waits for ever")
        await self._sweep()  # of what was given up meanwhile
        await self._end_all(living)
        return await judge(self)

    def _ask(self) -> None:
        """Whoever asks a storage-api for something begins, where Redis keeps what it confirmed: else a tombstone, or a name that was noted, may be lost."""
        if self.chance.cuts and not self.lossy:
            self.part_deleter.start()
        if self.chance.merges and not self.lossy:
            self.merger.start()
            self.whole_deleter.start()

    async def _sweep(self) -> None:
        if not await self._by((UNTIL_MS + 30_000) / 1000, lambda: swept(self)):
            self.problems.append("objects that must not stay are looked for for ever")

    def _asked(self) -> bool:
        return self.part_deleter.done and self.merger.done and self.whole_deleter.done

    def _recorded(self) -> bool:
        return all(recorder.done for recorder in self.recorders)

    async def _end_all(self, living: list[asyncio.Task[None]]) -> None:
        for task in living:
            task.cancel()
        await asyncio.wait(living)
        for task in living:
            if not task.cancelled() and (error := task.exception()):
                raise error
        ending = self.processes.stop_pushers()
        # A read whose reply was lost is given up after its time-out, and no sooner.
        if not await self._by(TIMEOUT_S + DRAIN_S, lambda: all(process.dead for process in ending)):
            self.problems.append("a pusher does not end when it is asked to")
        self.processes.kill_all()
        # What was on its way to the bucket may still land.
        await asyncio.sleep(LATEST_S + 1.0)

    async def _by(self, within_s: float, there: Any) -> bool:
        deadline = self.loop.time() + within_s
        while not there():
            if self.loop.time() > deadline:
                return False
            await asyncio.sleep(0.5)
            self.server.watch.once_a_second()
        return True

    def _heal(self) -> None:
        """No more faults: what was stopped goes on, what was killed comes back."""
        self.chance.calm()
        self.bucket.calm()
        if self.second is not None:
            self.second.calm()
        if self.server.lagging:
            fail_over(self)
        self.server.calm()
        self.processes.heal()

    # -- looking -------------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        """Looks at a conversation now and then, as storage-api does."""
        recordings = make_recordings(self.loop, self.server, (self.bucket, self.second))
        while True:
            await asyncio.sleep(self.chance.between(0.3, 4.0))
            stories = [story for story in self.stories if story.spells]
            if not stories:
                continue
            story = self.chance.dice.choice(stories)
            where = Conversation(story.tape.uid, story.cid)
            tag, ids = where.tag, {story.recorded_into(spell) for spell in story.spells}
            gone = self.part_deleter.gone_of(story, where)
            acked = [(spell.epoch, spell.acked - spell.base) for spell in story.spells]
            try:
                recording = await recordings.look(where)
            except ProblemError:
                continue
            if recording.tail is None:
                continue
            self.looks += 1
            spans = [piece.span for piece in recording.pieces if piece.span.conversation in ids]
            found = came_back(spans, gone)
            if not self.lossy and not self._gave_up(story):
                found += readable(acked, spans)
            self.problems += [f"{tag} at {self.loop.time():.3f}: {text}" for text in found]

    def _gave_up(self, story: Story) -> bool:
        """Whether something of it may be out of a reader's sight: deleted, in the dead letters, or about to be buried."""
        tags = {f"{story.tape.uid}/{story.recorded_into(spell)}" for spell in story.spells}
        return (
            story.deleted
            or story.endangered
            or story.tape.uid in self.forgetting
            or any(tag.startswith(f"{story.tape.uid}/") for tag in self.part_deleter.parts)
            or not tags.isdisjoint(self.server.watch.buried)
            or any(held.damaged for tag in tags for held in self.server.ledger.of(tag))
        )
