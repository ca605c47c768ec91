"""The verdict on one world: whether it has come to rest, and what is wrong with it then.

Owns the collecting of what Redis and the buckets say at the end. What is right is `history`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audiobus import Conversation
from audiobus.census import exact
from audiostore.key_ring import KeySource
from audiostore.names import ROOT
from tapedeck_testing.simulation.history import Books, by_conversation, opened, wrong
from tapedeck_testing.simulation.services import KEYS, make_bus

if TYPE_CHECKING:
    from tapedeck_testing.simulation.recorder import Story
    from tapedeck_testing.simulation.world import World


def rests(world: World) -> bool:
    """Whether nothing is left to be done."""
    if world.loop.time() <= world.server.late_until:
        return False  # what is on its way may still write something down
    if world.second is not None and any(name.startswith(ROOT) for name in world.second.objects):
        return False  # it is to be moved home
    return not any(_waits(world, story) for story in world.stories)


async def judge(world: World) -> list[str]:
    """What is wrong, once everything has ended."""
    found = [*world.problems, *world.processes.problems, *world.server.watch.problems]
    ring = KeySource(KEYS).ring()
    # What lies in both under one name is the same audio, and played once.
    both = {**(world.second.objects if world.second is not None else {}), **world.bucket.objects}
    objects = by_conversation({name: held for name, held in both.items() if name.startswith(ROOT)})
    for story in world.stories:
        where = (story.tape.uid, story.tape.cid)
        spans = []
        for held in objects.pop(where, []):
            inside, said = opened(held, *where, ring)
            spans += inside
            found += said
        said = wrong(story, spans, await _books(world, story), lossy=world.lossy)
        found += [f"{'/'.join(where)}: {text}" for text in said]
    found += [f"objects of nobody: {where}" for where in objects]
    return found


async def _books(world: World, story: Story) -> Books:
    balance = await exact(make_bus(world.server, 0), Conversation(story.tape.uid, story.tape.cid))
    return Books(_waits(world, story), balance)


def _waits(world: World, story: Story) -> bool:
    """Whether anything of it is still to be stored."""
    conversation = Conversation(story.tape.uid, story.tape.cid)
    execute = world.server.model.execute
    # The opening of a session alone is no audio: an open that was executed late may leave one.
    rows = execute(["XRANGE", world.keys.audio(conversation), "-", "+"])
    return (
        any(row[1][0] == b"c" for row in rows)
        or execute(["HEXISTS", world.keys.conv(conversation), "cut"]) == 1
    )
