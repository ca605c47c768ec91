"""Whoever deletes whole conversations, or all that a user recorded so far, while others merge: as a client of storage-api does, again until it is told that
they are gone, or has lost interest.

Owns what was asked for and what was heard of it. What must be gone then is `merged`'s.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from audiobus import Conversation
from audiobus.tombstone import target_of
from storage_api.deletion.all_of_user import delete_user_audio
from storage_api.deletion.notes import KIND, Request
from storage_api.deletion.one_conversation import delete_conversation
from storage_api.operations.one_operation import one_operation
from tapedeck_testing.simulation.api import Asked
from tapedeck_testing.simulation.asking import ask
from tapedeck_testing.simulation.deleter import Forgetting

if TYPE_CHECKING:
    from audiobus import EntryId
    from tapedeck_testing.simulation.ledger import Held
    from tapedeck_testing.simulation.world import World

WHEN_S: Final = (1.0, 25.0)
WORLDS: Final = 0.5
"""Of the worlds in which somebody merges, in so many somebody deletes."""
MANY: Final = (1, 1, 2, 4)
OF_USERS: Final = 0.25
"""Of the deletions so many are of all that a user recorded so far."""
LOSES_INTEREST: Final = 0.1
"""Of those that are not told, so many ask no more each time."""
PAUSE_S: Final = (0.1, 2.0)


class WholeDeleter:
    """All of one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.told: list[Conversation] = []
        """Of these it was said that they are deleted."""
        self.forgotten: dict[str, int] = {}
        """Users of whom it was said that all they recorded is deleted, and up to which moment at least, unix ms."""
        self.problems: list[str] = []
        self._of_users: dict[str, Forgetting] = {}
        self._newest: dict[str, list[dict[str, EntryId]]] = {}
        """By user, for each of those operations the last ids before it, by conversation."""
        self._asking: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Some of them."""
        parts = self._world.chance.parts
        if parts.random() < WORLDS:
            for _ in range(parts.choice(MANY)):
                self._asking.append(asyncio.create_task(self._delete_one()))

    @property
    def done(self) -> bool:
        """Whether nobody asks any more."""
        return all(task.done() for task in self._asking)

    @property
    def acts(self) -> bool:
        """Whether anybody is there."""
        return bool(self._asking)

    def end(self) -> None:
        """Everybody leaves; those who were still asking are a problem."""
        execute = self._world.server.model.execute
        for uid in self._of_users:
            self._look(uid)
        for key in execute(["KEYS", self._world.keys.operation("*")]):
            kind, uid, request = execute(["HMGET", key, "kind", "uid", "request"])
            if kind == KIND.encode():
                newest = msgspec.json.decode(request, type=Request).newest_ids()
                self._newest.setdefault(uid.decode(), []).append(newest)
        for task in self._asking:
            if task.done():
                task.result()
            else:
                task.cancel()
                self.problems.append("somebody asks for ever that a conversation be deleted")

    async def _delete_one(self) -> None:
        world, chance = self._world, self._world.chance
        await asyncio.sleep(chance.between(*WHEN_S))
        where = self._some()
        if where is None:
            return
        # Whatever of the user's goes there before it is deleted is deleted with it.
        for story in world.stories:
            if story.tape.uid == where.uid:
                story.endangered = True
                story.went = partial(self._is_deleted, Conversation(story.tape.uid, story.tape.cid))
        if chance.dice.random() < OF_USERS:
            await self._delete_user(where.uid)
            return
        chance.note(f"{where.tag} is to be deleted, if no merge has it")
        while not await self._is_told(where) and chance.dice.random() >= LOSES_INTEREST:
            await asyncio.sleep(chance.between(*PAUSE_S))

    async def _delete_user(self, uid: str) -> None:
        world, chance = self._world, self._world.chance
        self._of_users[uid] = world.forgetting.setdefault(uid, Forgetting(0))
        chance.note(f"all that {uid} recorded is to be deleted")
        while True:
            answer = await ask(world, Asked(delete_user_audio, {"uid": uid}))
            self._look(uid)
            if answer is not None:
                chance.note(f"all of {uid}: {answer.status} {answer.code}")
            if answer is not None and answer.status == 202:
                break
            if answer is not None and answer.status not in (429, 503):
                self.problems.append(f"all of {uid}: {answer.status} {answer.code}")
                return
            if chance.dice.random() < LOSES_INTEREST:
                return
            await asyncio.sleep(chance.between(*PAUSE_S))
        # The tombstone stands at least at what stood when this one was begun.
        before_ms = msgspec.json.decode(self._request(answer.said["id"]), type=Request).before_ms
        while True:
            found = await ask(world, Asked(one_operation, {"id": answer.said["id"]}))
            if found is not None and found.status == 200 and found.said["done"]:
                chance.note(f"all of {uid} is gone: {found.said}")
                if found.said["error"] is None:
                    self.forgotten[uid] = max(before_ms, self.forgotten.get(uid, 0))
                else:
                    self.problems.append(f"all of {uid}: {found.said['error']}")
                return
            await asyncio.sleep(chance.between(*PAUSE_S))

    def _request(self, operation_id: str) -> bytes:
        keys = self._world.keys
        asked: bytes = self._world.server.model.execute(["HGET", keys.operation(operation_id), "request"])
        return asked

    def was_recorded(self, where: Conversation, held: Held) -> bool:
        """Whether Redis had that chunk when somebody asked that all of its user's be deleted: it is, whatever the clock of its listener said."""
        newest = (one.get(where.cid) for one in self._newest.get(where.uid, ()))
        return any(one is not None and held.id <= one for one in newest)

    def _look(self, uid: str) -> None:
        """Up to when it may be deleted: as the tombstone says, which grows with each request that is carried out, however late."""
        before_ms = self._world.server.model.execute(["GET", self._world.keys.user_tomb(uid)])
        if before_ms:
            # Of the very same millisecond nobody can tell.
            self._of_users[uid].before_ms = int(before_ms) + 1

    def _is_deleted(self, where: Conversation) -> bool:
        """Whether its tombstone says so, or that of what it went into."""
        world = self._world
        for _ in world.conversations:
            tombstone = world.server.model.execute(["GET", world.keys.tomb(where)])
            if not tombstone:
                return False
            if (target := target_of(tombstone)) is None:
                return True
            where = Conversation.from_tag(target)
        return False

    def _some(self) -> Conversation | None:
        """One that is known, mostly of a user whose conversations are merged."""
        merged = {merge.uid for merge in self._world.merger.merges}
        known = [one for one in self._world.conversations if not merged or one.uid in merged]
        return self._world.chance.dice.choice(known) if known else None

    async def _is_told(self, where: Conversation) -> bool:
        """Whether there is nothing left to ask."""
        asked = Asked(delete_conversation, {"uid": where.uid, "cid": where.cid})
        answer = await ask(self._world, asked)
        if answer is None:
            return False
        self._world.chance.note(f"{where.tag}: deleting, {answer.status} {answer.code}")
        match answer.status, answer.code:
            case 200, _:
                self.told.append(where)
                return True
            case 404, _:
                return True  # nothing was recorded yet, it went into another one, or it is gone
            case (503, _) | (409, "merging"):
                return False
            case _:
                self.problems.append(f"{where.tag}: deleting, {answer.status} {answer.code}")
                return True
