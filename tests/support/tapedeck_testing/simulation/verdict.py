"""The verdict on one world: whether it has come to rest, and what is wrong with it then.

Owns the collecting of what Redis and the buckets say at the end. What is right is `history`'s.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from audiobus import Conversation
from audiobus.census import exact
from audiostore.key_ring import KeySource
from audiostore.names import ROOT, parse_name
from pusher.prober import PREFIX
from storage_api.cutting.new_object import is_marked
from tapedeck_testing.simulation.counting import at_the_end
from tapedeck_testing.simulation.cut_out import wrong_in_part
from tapedeck_testing.simulation.history import (
    RENAMED_MS,
    Books,
    Given,
    by_conversation,
    opened,
    wrong,
    wrong_plain,
)
from tapedeck_testing.simulation.merged_verdict import judge_merged
from tapedeck_testing.simulation.services import KEYS, make_bus

if TYPE_CHECKING:
    from audiocodec.span import Span
    from audiostore.key_ring import KeyRing
    from tapedeck_testing.simulation.bucket import Bucket
    from tapedeck_testing.simulation.bucket import Held as Kept
    from tapedeck_testing.simulation.ledger import Held
    from tapedeck_testing.simulation.recorder import Story
    from tapedeck_testing.simulation.world import World


def swept(world: World) -> bool:
    """Whether no object is looked for any more that must not stay."""
    execute = world.server.model.execute
    deleted = {(story.tape.uid, story.tape.cid) for story in world.stories if story.deleted}
    return not any(
        execute(["HEXISTS", world.keys.conv(one), "gone"])
        for one in world.conversations
        if one not in deleted and not execute(["EXISTS", world.keys.tomb(one)])
    )


def rests(world: World) -> bool:
    """Whether nothing is left to be done."""
    if world.loop.time() <= world.server.late_until:
        return False  # what is on its way may still write something down
    if any(not _hindered(world, name) for name in _away(world)):
        return False  # it is to be moved home
    return not any(_waits(world, one) for one in world.conversations)


def lacks_a_hint(world: World) -> bool:
    """Whether all that waits does so because a hint at it was lost: the walk over all buffers finds it."""
    waiting = [one for one in world.conversations if _waits(world, one)]
    return bool(waiting) and all(one.tag in world.server.hints_unheard for one in waiting)


async def judge(world: World) -> list[str]:
    """What is wrong, once everything has ended."""
    found = [
        *world.problems,
        *world.part_deleter.problems,
        *world.processes.problems,
        *world.server.watch.problems,
    ]
    ring = KeySource(KEYS).ring()
    # What lies in both under one name is the same audio, and played once: where it is damaged at home, from the second.
    away = _away(world)
    both = {**away, **_audio(world.bucket)}
    both |= {name: held for name, held in away.items() if both[name].damaged}
    objects = by_conversation(both)
    merged = {
        story.tape.uid for story in world.stories if world.merger.of(story.tape.uid) or story.endangered
    }
    for uid in sorted(merged):
        found += await judge_merged(world, uid, objects, ring)
    for story in world.stories:
        where = Conversation(story.tape.uid, story.tape.cid)
        if where.uid in merged:
            continue
        said = await _judge_one(world, story, objects.pop((where.uid, where.cid), []), ring)
        found += [f"{where.tag}: {text}" for text in said]
    if world.counting is not None:
        found += world.counting.problems
    found += await at_the_end(make_bus(world.server, 0))
    found += [f"objects of nobody: {where}" for where in objects]
    return found


async def _judge_one(world: World, story: Story, objects: list[Kept], ring: KeyRing) -> list[str]:
    """What is wrong with one recording that lies in one conversation."""
    where = Conversation(story.tape.uid, story.tape.cid)
    parts, chunks = world.part_deleter.of(where.tag), world.server.ledger.of(where.tag)
    spans: list[Span] = []
    late: list[Span] = []
    prerolls: list[bytes] = []
    said: list[str] = []
    for held in objects:
        if is_announced(world, where, held):
            continue
        if held.damaged:
            said += damaged(world, where, held.info.name)
            continue
        inside, before, misnamed = opened(held, *where, ring)
        spans += inside
        prerolls += before
        late += inside if _unseen(world, held.info.name) else []
        said += misnamed
        said += [] if parts else _forgotten(world, story, held.info.name, inside)
    held_books, given = await books(world, where), given_up(world, story)
    if parts:
        gone, may = world.part_deleter.gone_of(story, where), world.part_deleter.may_be_gone(story, [where])
        return said + wrong_in_part(story, spans, prerolls, held_books, gone, may, given)
    ranges = [_range(one) for one in chunks]
    if story.plain:
        return said + wrong_plain(story, spans, held_books, ranges, given, whole=not world.chance.hits)
    return said + wrong(story, spans, held_books, lossy=world.lossy, given=given, chunks=ranges, late=late)


def is_announced(world: World, where: Conversation, held: Kept) -> bool:
    """Whether it never took the place of another, and nobody asked again: then it counts for nobody. An announced name may be another's, too."""
    mark = world.server.model.execute(["HGET", world.keys.replacing(where), held.info.name])
    return mark is not None and is_marked(mark.decode(), held.info)


def given_up(world: World, story: Story) -> list[Given]:
    """What may be missing of it."""
    forgetting = world.forgetting.get(story.tape.uid)
    before_ms = forgetting.before_ms if forgetting is not None else 0
    ids = {story.tape.cid, *(story.recorded_into(spell) for spell in story.spells)}
    places = [Conversation(story.tape.uid, cid) for cid in sorted(ids)]
    dropped = [given for where in places for given in world.operator.dropped.get(where.tag, [])]
    chunks = [(where, held) for where in places for held in world.server.ledger.of(where.tag)]
    return dropped + [
        _range(held)
        for where, held in chunks
        if held.damaged or (held.made_ms or 0) < before_ms or world.whole_deleter.was_recorded(where, held)
    ]


def _range(held: Held) -> Given:
    return Given(held.id.epoch, held.first_offset, held.id.offset)


def _tag(story: Story) -> str:
    return f"{story.tape.uid}/{story.tape.cid}"


def _forgotten(world: World, story: Story, name: str, spans: list[Span]) -> list[str]:
    """What its user had deleted before it was put there."""
    forgetting = world.forgetting.get(story.tape.uid)
    if forgetting is None or forgetting.stands_s is None:
        return []
    if min(_since_s(world, name), _moved_since_s(world, name)) <= forgetting.stands_s:
        return []
    old = [
        held
        for held in world.server.ledger.of(_tag(story))
        if held.made_ms is not None and held.made_ms < forgetting.before_ms
    ]
    return [
        f"{name} was put after its user had deleted what {held.id} holds"
        for span in spans
        for held in old
        if span.epoch == held.id.epoch
        and span.first_offset < held.id.offset
        and held.first_offset < span.end_offset
    ]


def _since_s(world: World, name: str) -> float:
    """When the object came to lie in a bucket first."""
    buckets = [world.bucket] if world.second is None else [world.bucket, world.second]
    return min(bucket.since_s[name] for bucket in buckets if name in bucket.since_s)


def _moved_since_s(world: World, name: str) -> float:
    """When what is moved home under this name, its own or, where that is taken there, another, came to lie in the second bucket; never, if it did not."""
    since_s = world.second.since_s.items() if world.second is not None else ()
    return min((at_s for other, at_s in since_s if _brought_as(other, name)), default=math.inf)


def _brought_as(name: str, other: str) -> bool:
    """Whether an object of the second bucket may be brought home under the other name, which may be its own."""
    there, here = parse_name(name), parse_name(other)
    if there is None or here is None:
        return False
    same = (there.uid, there.conversation_id, there.start_ms) == (
        here.uid,
        here.conversation_id,
        here.start_ms,
    )
    return same and here.end_ms - RENAMED_MS <= there.end_ms <= here.end_ms


def _unseen(world: World, name: str) -> bool:
    """Whether the same audio may have been cut again without anybody seeing this object: Redis had lost its cut by the time at which it landed; or
    has lost it, and the first bucket could not be looked into while the second served.
    """
    lost = world.server.lost_cuts
    return (world.second is not None and lost.lost(name)) or lost.landed_late(name, _since_s(world, name))


def damaged(world: World, where: Conversation, name: str) -> list[str]:
    """An object that is not what was sent must not stay, unless nobody can know of it, or it is in the way of what is to be moved home: that waits for an operator."""
    if world.lossy and world.server.lost_cuts.lost(name):
        return []
    if _moved_since_s(world, name) < math.inf and not _is_noted(world, where, name):
        return []
    return [f"{name} is damaged, and stays"]


def _away(world: World) -> dict[str, Kept]:
    """What lies in the second bucket."""
    return _audio(world.second) if world.second is not None else {}


def _audio(bucket: Bucket) -> dict[str, Kept]:
    """What lies there beside what tries of the bucket have left: a put that lands late, or a kill, leaves one."""
    return {
        name: held
        for name, held in bucket.objects.items()
        if name.startswith(ROOT) and not name.startswith(PREFIX)
    }


def _hindered(world: World, name: str) -> bool:
    """Whether what has the name at home, or one of those that it is brought under where its own is taken, is damaged: the mover leaves both as they are."""
    return any(held.damaged and _brought_as(name, other) for other, held in world.bucket.objects.items())


def _is_noted(world: World, where: Conversation, name: str) -> bool:
    return bool(world.server.model.execute(["HEXISTS", world.keys.gone(where), name]))


async def books(world: World, where: Conversation) -> Books:
    """What Redis says of a conversation."""
    return Books(_waits(world, where), await exact(make_bus(world.server, 0), where))


def _waits(world: World, conversation: Conversation) -> bool:
    """Whether anything of it is still to be stored, or to be dealt with by an operator."""
    execute = world.server.model.execute
    # The opening of a session alone is no audio: an open that was executed late may leave one.
    rows = execute(["XRANGE", world.keys.audio(conversation), "-", "+"])
    return (
        any(row[1][0] == b"c" for row in rows)
        or execute(["HEXISTS", world.keys.conv(conversation), "cut"]) == 1
        or execute(["EXISTS", world.keys.dead(conversation)]) == 1
    )
