"""The faults that strike a world as a whole, once a second: what kills, stops, fills, empties and cuts off.

Those at a single request are the server's and the bucket's, those of a line the recorder's.
"""

from __future__ import annotations

from contextvars import Context
from typing import TYPE_CHECKING, Final

from audiobus.keys import GROUP
from tapedeck_testing.simulation.chance import LOSSY, OLD_MASTER
from tapedeck_testing.simulation.deleter import Forgetting, delete, delete_user
from tapedeck_testing.simulation.server import REPLICA_S
from tapedeck_testing.simulation.substitutes import unix_ms

if TYPE_CHECKING:
    from tapedeck_testing.simulation.virtual_loop import Process
    from tapedeck_testing.simulation.world import World

AGO_MS: Final = (700, 2_500, 6_000, 90_000)
"""What was recorded up to so long ago is deleted; before the longest nothing was."""


def disturb(world: World) -> None:
    """Whatever strikes now."""
    _processes(world)
    _redis(world)
    _delete(world)
    _delete_user(world)
    chance = world.chance
    if chance.strikes("bucket: away"):
        world.bucket.away_until = world.loop.time() + chance.between(
            1.0, 20.0 if world.second is None else 40.0
        )
    if world.second is not None and chance.strikes("bucket: second away"):
        world.second.away_until = world.loop.time() + chance.between(1.0, 20.0)
    buckets = [world.bucket] if world.second is None else [world.bucket, world.second]
    if chance.strikes("bucket: refuses"):
        chance.dice.choice(buckets).refuses_until = world.loop.time() + chance.between(1.0, 20.0)
    if chance.strikes("bucket: full"):
        chance.dice.choice(buckets).full_until = world.loop.time() + chance.between(1.0, 20.0)
    if chance.strikes("user: protection changes"):
        level = chance.dice.choice(("enhanced", "standard"))
        uid = chance.dice.choice(world.recorders).stories[0].tape.uid
        world.server.meddle("HSET", world.keys.user(uid), "protection", level)


def _delete(world: World) -> None:
    """Somebody deletes a conversation, none that may be merged; where a tombstone could be lost with Redis' last writes it would have to be set again."""
    if world.lossy or world.chance.merges or not world.chance.strikes("conversation: deleted"):
        return
    stories = [story for story in world.stories if not story.deleted]
    if stories:
        story = world.chance.dice.choice(stories)
        story.deleted = True
        world.chance.note(f"{story.tape.uid}/{story.tape.cid} is to be deleted")
        world.deleting.append(
            world.loop.create_task(delete(world.loop, world.server, story, world.wait_replicas))
        )


def _delete_user(world: World) -> None:
    """Somebody has all deleted that a user recorded so far, or up to a moment of the past, as whoever keeps recordings for so many days only."""
    if world.lossy or world.chance.merges:
        return
    if world.chance.strikes("user: deleted"):
        ago_ms = 0
    elif world.chance.strikes("user: deleted up to the past"):
        ago_ms = world.chance.dice.choice(AGO_MS)
    else:
        return
    uid = world.chance.dice.choice(world.recorders).stories[0].tape.uid
    if uid in world.forgetting:
        return
    forgetting = world.forgetting[uid] = Forgetting(unix_ms(world.loop) - ago_ms)
    world.chance.note(f"{uid}: what was recorded before {forgetting.before_ms} is to be deleted")
    work = delete_user(world.loop, world.server, uid, forgetting, world.wait_replicas)
    world.deleting.append(world.loop.create_task(work))


def _processes(world: World) -> None:
    chance = world.chance
    services = world.processes.living
    if not services:
        return
    for kind in ("process: killed", "process: stopped for long"):
        if chance.strikes(kind):
            world.processes.harm(chance.dice.choice(services).process, kind)
    if chance.strikes("process: asked to end"):
        world.processes.ask_to_end(chance.dice.choice(services))


def _redis(world: World) -> None:
    chance, server, now = world.chance, world.server, world.loop.time()
    if chance.strikes("redis: away"):
        server.away_until = now + chance.between(0.5, 12.0)
    if chance.strikes("redis: full"):
        server.fill(now + chance.between(0.5, 8.0))
    if chance.strikes("redis: groups gone"):
        server.meddle("XGROUP", "DESTROY", world.keys.ready(0), GROUP)
    if chance.strikes("redis: hints gone"):
        server.meddle("DEL", world.keys.ready(0))
    if not server.lagging and chance.strikes(LOSSY):
        server.begin_to_lag()
        world.loop.call_later(chance.between(0.05, REPLICA_S), fail_over, world, context=Context())


def fail_over(world: World) -> None:
    """What was confirmed since Redis began to lag is lost."""
    if not world.server.lagging:
        return
    chance = world.chance
    chance.note("Redis has lost its last writes")
    holdouts: list[Process] = []
    if chance.strikes(OLD_MASTER):
        holdouts = [one.process for one in world.processes.living if chance.dice.random() < 0.5]
    world.server.fail_over(holdouts, chance.between(0.3, 6.0) if holdouts else 0.0)
