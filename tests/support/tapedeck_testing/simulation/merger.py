"""Whoever makes one conversation out of several, and asks how that goes until it is told that it is done, or has failed.

Owns what was asked for and what was heard of it. What must lie where then is `merged`'s.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

from storage_api.merging.many_into_one import merge_conversations
from storage_api.operations.one_operation import one_operation
from tapedeck_testing.simulation.api import Asked
from tapedeck_testing.simulation.asking import ask
from tapedeck_testing.simulation.merged import Merge

if TYPE_CHECKING:
    from tapedeck_testing.simulation.recorder import Story
    from tapedeck_testing.simulation.world import World

WHEN_S: Final = (1.5, 20.0)
MANY: Final = (1, 1, 2, 3)
DELETES: Final = 0.75
"""Of the merges so many take their sources away."""
ASKS_AGAIN: Final = 0.7
"""Of those that failed, so many are asked for again."""
PAUSE_S: Final = (0.1, 2.0)


class Merger:
    """All of one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.merges: list[Merge] = []
        self.problems: list[str] = []
        self._asking: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Some of them."""
        for _ in range(self._world.chance.parts.choice(MANY)):
            self._asking.append(asyncio.create_task(self._merge_some()))

    @property
    def done(self) -> bool:
        """Whether nobody asks any more, and nothing is under way."""
        undone = self._world.server.model.execute(["ZCARD", self._world.keys.operations()])
        return all(task.done() for task in self._asking) and not undone

    def end(self) -> None:
        """Everybody leaves; what is still under way is a problem."""
        if not self.done:
            going = [str(one) for one in self.merges if one.ended is None]
            self.problems.append(f"merged for ever: {', '.join(going)}")
        for task in self._asking:
            if task.done():
                task.result()
            else:
                task.cancel()

    def of(self, uid: str) -> list[Merge]:
        """Those of a user."""
        return [one for one in self.merges if one.uid == uid]

    async def _merge_some(self) -> None:
        chance = self._world.chance
        await asyncio.sleep(chance.between(*WHEN_S))
        stories = [story for story in self._world.stories if self._is_known(story)]
        if not stories:
            return
        uid = chance.dice.choice(stories).tape.uid
        merge = self._some(uid, [story for story in stories if story.tape.uid == uid])
        self.merges.append(merge)
        merge.begun_s = self._world.loop.time()
        for story in stories:
            if story.tape.uid == uid and merge.deletes:
                story.merged = True
        chance.note(f"{merge} is wanted")
        while await self._begun(merge) and not await self._ended(merge):
            if chance.dice.random() >= ASKS_AGAIN:
                return
            await asyncio.sleep(chance.between(*PAUSE_S))

    def _is_known(self, story: Story) -> bool:
        return bool(story.spells or self._world.server.ledger.of(f"{story.tape.uid}/{story.tape.cid}"))

    def _some(self, uid: str, stories: list[Story]) -> Merge:
        dice = self._world.chance.dice
        folders = [
            *dict.fromkeys([story.tape.cid for story in stories] + [one.target for one in self.of(uid)])
        ]
        while True:
            sources = dice.sample(folders, dice.randint(1, len(folders)))
            target = dice.choice([*folders, f"m{len(self.merges)}", f"m{len(self.merges)}"])
            if sources != [target]:
                return Merge(uid, tuple(sources), target, deletes=dice.random() < DELETES)

    async def _begun(self, merge: Merge) -> bool:
        """Whether it is under way, or was done at once."""
        chance = self._world.chance
        body: dict[str, Any] = {
            "sources": merge.sources,
            "target": merge.target,
            "delete_sources": merge.deletes,
        }
        asked = Asked(merge_conversations, {"uid": merge.uid}, body=json.dumps(body).encode())
        while True:
            answer = await ask(self._world, asked)
            if answer is not None:
                chance.note(f"{merge}: {answer.status} {answer.code}")
                match answer.status, answer.code:
                    case 202, _:
                        merge.operation, merge.ended = answer.said["id"], None
                        return True
                    case (404 | 409, _):
                        return False  # another merge has, or had, one of them; or a letter is in the way
                    case 503, _:
                        pass
                    case _:
                        self.problems.append(f"{merge}: {answer.status} {answer.code}")
                        return False
            await asyncio.sleep(chance.between(*PAUSE_S))

    async def _ended(self, merge: Merge) -> bool:
        """Whether it succeeded, once it is done."""
        chance = self._world.chance
        while True:
            answer = await ask(self._world, Asked(one_operation, {"id": merge.operation}))
            if answer is not None and answer.status == 200 and answer.said["done"]:
                error = answer.said["error"]
                merge.ended = error["code"] if error else "succeeded"
                chance.note(f"{merge} has ended")
                return merge.succeeded
            if answer is not None and answer.status not in (200, 503):
                self.problems.append(f"{merge}: asked after, {answer.status} {answer.code}")
                return True
            await asyncio.sleep(chance.between(*PAUSE_S))
