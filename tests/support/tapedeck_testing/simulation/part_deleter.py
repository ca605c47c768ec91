"""Whoever deletes stretches of time, batches and chunks out of recordings, and asks again until it is told that they are gone, or has lost interest.

Owns what was asked for and what was heard of it. What may be missing then, and what must be, is `cut_out`'s.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Final

from audiobus import Conversation
from audiostore.names import parse_name
from servicekit.problem import ProblemError
from storage_api.chunks import chunk_rows
from storage_api.cutting.stretch_of_time import delete_stretch
from storage_api.cutting.timestamps import delete_chunks
from tapedeck_testing.simulation.api import Asked
from tapedeck_testing.simulation.asking import ask
from tapedeck_testing.simulation.cut_out import Part, may_be_gone, must_be_gone
from tapedeck_testing.simulation.garbling import GARBLED
from tapedeck_testing.simulation.services import make_recordings
from tapedeck_testing.simulation.tape import PACKET_MS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tapedeck_testing.simulation.api import Answer
    from tapedeck_testing.simulation.cut_out import Stretch
    from tapedeck_testing.simulation.recorder import Story
    from tapedeck_testing.simulation.world import World

WHEN_S: Final = (1.0, 25.0)
MANY: Final = (1, 2, 2, 4)
LENGTHS_MS: Final = (1, 60, 200, 1_000, 4_000)
ROWS: Final = 0.35
"""Of what is deleted, so much is a batch or chunk, told by when it begins."""
OPEN: Final = 0.15
"""Of the stretches so many have no start, and so many no end."""
LOSES_INTEREST: Final = 0.15
"""Of those that are not told, so many ask no more each time."""
PAUSE_S: Final = (0.1, 3.0)
UNREADABLE: Final = 30
"""So often one hears that an object cannot be read before it is left to an operator."""


class PartDeleter:
    """All of one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.parts: dict[str, list[Part]] = {}
        """By the tags of the conversations: what was asked for."""
        self.problems: list[str] = []
        self._asking: list[asyncio.Task[None]] = []
        self._unanswered: dict[str, str] = {}

    def start(self) -> None:
        """Some of them."""
        for _ in range(self._world.chance.parts.choice(MANY)):
            self._asking.append(asyncio.create_task(self._delete_some()))

    @property
    def done(self) -> bool:
        """Whether nobody asks any more."""
        return all(task.done() for task in self._asking)

    def of(self, tag: str) -> list[Part]:
        """What was asked for of a conversation."""
        return self.parts.get(tag, [])

    def gone_of(self, story: Story, where: Conversation) -> list[Stretch]:
        """What of a recording must be gone from that conversation, or from where that went, as far as it was recorded into it.

        What a merge may have copied before is not: its copy plays it, and may come back with a merge into this one.
        """
        copied_s = [one.begun_s for one in self._world.merger.of(where.uid) if where.cid in one.sources]
        first_s = min(copied_s, default=math.inf)
        parts = [part for part in self.of(where.tag) if part.done_s is not None and part.done_s < first_s]
        return must_be_gone(story, self._world.server.ledger.of(where.tag), parts)

    def may_be_gone(self, story: Story, places: Iterable[Conversation]) -> frozenset[int]:
        """Packets of a recording that may be gone, where it lay in these conversations."""
        found: set[int] = set()
        for where in places:
            parts, chunks = self.of(where.tag), self._world.server.ledger.of(where.tag)
            letters = where.tag in self._world.server.watch.buried or any(
                part.row is not None for part in parts
            )
            stretches = [one for part in parts for one in (part.stretch, *self._holding(where, part))]
            found |= may_be_gone(story, chunks, stretches, letters=letters)
        return frozenset(found)

    def _holding(self, where: Conversation, part: Part) -> Iterator[Stretch]:
        """The time of each object that ever was there and held the time of a batch or chunk: it may be what was meant."""
        if part.row is None or part.start_ms is None:
            return
        buckets = (self._world.bucket, self._world.second)
        for path in (path for bucket in buckets if bucket is not None for path in bucket.since_s):
            name = parse_name(path)
            if name is None or (name.uid, name.conversation_id) != where:
                continue
            if name.start_ms <= part.start_ms <= name.end_ms:
                yield name.start_ms * 48, name.end_ms * 48

    def end(self) -> None:
        """Everybody leaves; those who were still asking are a problem."""
        for task in self._asking:
            if task.done():
                task.result()
            else:
                task.cancel()
        self.problems += [f"{what}: asked for ever, {heard}" for what, heard in self._unanswered.items()]

    async def _delete_some(self) -> None:
        chance = self._world.chance
        await asyncio.sleep(chance.between(*WHEN_S))
        stories = [one for one in self._world.stories if one.spells and not one.plain and not one.deleted]
        if not stories:
            return
        story = chance.dice.choice(stories)
        where = Conversation(story.tape.uid, story.cid)
        part = await self._row(where) if chance.dice.random() < ROWS else self._part(story)
        if part is None:
            return
        tag = where.tag
        self.parts.setdefault(tag, []).append(part)
        what = f"{tag} part {len(self.parts[tag])}, {part.start_ms} to {part.end_ms}"
        chance.note(f"{what} is to be deleted")
        self._unanswered[what] = "and nothing was heard"
        await self._until_told(story, where, part, what)
        del self._unanswered[what]

    def _part(self, story: Story) -> Part:
        chance, dice, tape = self._world.chance, self._world.chance.dice, story.tape
        start_ms = dice.choice(tape.captured_ms)
        if dice.random() < 0.7:
            start_ms += dice.randrange(-PACKET_MS, PACKET_MS)
        end_ms = start_ms + dice.choice(LENGTHS_MS)
        return Part(
            None if chance.dice.random() < OPEN else start_ms, None if chance.dice.random() < OPEN else end_ms
        )

    async def _row(self, where: Conversation) -> Part | None:
        """A batch or chunk, as a client finds it in the list."""
        buckets = self._world.bucket, self._world.second
        try:
            recording = await make_recordings(self._world.loop, self._world.server, buckets).look(where)
        except ProblemError:
            return None
        rows = [
            row for row in chunk_rows(recording, "standard") if parse_name(row.name) or row.stored is None
        ]
        if not rows:
            return None
        row = self._world.chance.dice.choice(rows)
        # What waits may be stored meanwhile with more, and a batch be cut by another request: then something else begins there.
        surely = row.stored is not None and not self._world.chance.has(GARBLED) and not self.of(where.tag)
        spans = [piece.span for piece in row.stored.pieces] if surely and row.stored is not None else []
        return Part(row.start_ms, row.end_ms, tuple((one.start_48k, one.end_48k) for one in spans))

    async def _until_told(self, story: Story, where: Conversation, part: Part, what: str) -> None:
        chance, clock = self._world.chance, self._world.loop.time
        unreadable = 0
        while unreadable < UNREADABLE:
            asked_s = clock()
            unknown = not self._world.server.ledger.of(where.tag)
            answer = await ask(self._world, _asked(where, part))
            if answer is not None:
                chance.note(f"{what}: {answer.status} {answer.code}{answer.said or ''}")
            if unknown and answer is not None and answer.status == 404:
                return  # a session was opened, and nothing recorded
            if self._is_told(story, part, answer, asked_s, what):
                return
            unreadable += answer is not None and answer.code == "unreadable"
            self._unanswered[what] = "and nothing was heard" if answer is None else answer.code
            if chance.dice.random() < LOSES_INTEREST:
                return
            await asyncio.sleep(chance.between(*PAUSE_S))

    def _is_told(self, story: Story, part: Part, answer: Answer | None, asked_s: float, what: str) -> bool:
        """Whether there is nothing left to ask."""
        if answer is None:
            return False
        match answer.status, answer.code:
            case 200, _:
                part.asked_s, part.done_s = asked_s, self._world.loop.time()
                return True
            case 404, _ if story.deleted or story.merged or story.endangered:
                return True
            case (503 | 504, _) | (409, "unreadable" | "merging"):
                return False
            case _:
                self.problems.append(f"{what}: {answer.status} {answer.code}")
                return True


def _asked(where: Conversation, part: Part) -> Asked:
    if part.row is not None and part.start_ms is not None:
        return Asked(
            delete_chunks, {"uid": where.uid, "cid": where.cid}, f"timestamps={part.start_ms / 1000:.3f}"
        )
    said = {"start": part.start_ms, "end": part.end_ms}
    query = "&".join(f"{name}={ms / 1000:.3f}" for name, ms in said.items() if ms is not None)
    return Asked(delete_stretch, {"uid": where.uid, "cid": where.cid}, query)
