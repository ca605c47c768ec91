"""The verdict on a user whose conversations were merged. Owns the collecting of what Redis and the buckets say; what is right is `merged`'s and `history`'s."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from audiobus import Conversation
from audiobus.census import Balance
from audiobus.merging import booked
from audiobus.tombstone import target_of
from audiostore.errors import AudiostoreError
from tapedeck_testing.simulation import verdict
from tapedeck_testing.simulation.cut_out import wrong_in_part
from tapedeck_testing.simulation.history import Books, Given, opened, wrong, wrong_plain
from tapedeck_testing.simulation.merged import Folder, on_the_way, once, samples, wrong_folders
from tapedeck_testing.simulation.services import make_bus

if TYPE_CHECKING:
    from audiocodec.span import Span
    from audiostore.key_ring import KeyRing
    from tapedeck_testing.simulation.bucket import Held
    from tapedeck_testing.simulation.cut_out import Stretch
    from tapedeck_testing.simulation.recorder import Story
    from tapedeck_testing.simulation.world import World


LATE: Final = ("redis: executed late", "redis: executed twice")
"""With these a hold may come when its merge has ended: it ends by itself, or with the next one."""


async def judge_merged(
    world: World, uid: str, objects: dict[tuple[str, str], list[Held]], ring: KeyRing
) -> list[str]:
    """What is wrong with all of that user's; takes theirs out of `objects`."""
    found, folders = [], {}
    for where in world.conversations:
        if where.uid == uid:
            folders[where.cid], said = await _folder(world, where, objects.pop((uid, where.cid), []), ring)
            found += [f"{where.tag}: {text}" for text in said]
    found += [f"{uid}: {text}" for text in wrong_folders(folders, world.merger.of(uid))]
    for story in world.stories:
        if story.tape.uid == uid:
            found += [f"{uid}/{story.tape.cid}: {text}" for text in _story(world, story, folders)]
    return found


async def _folder(
    world: World, where: Conversation, objects: list[Held], ring: KeyRing
) -> tuple[Folder, list[str]]:
    spans: list[Span] = []
    said = []
    targets = {merge.target for merge in world.merger.of(where.uid)}
    for held in objects:
        if verdict.is_announced(world, where, held):
            continue
        if held.damaged:
            if (
                where.cid not in targets
            ):  # what lies there may be a copy that was stored damaged, beside one that was not
                said += verdict.damaged(world, where, held.info.name)
            continue
        try:
            inside, _, misnamed = opened(held, *where, ring, copied=True)
        except AudiostoreError as error:
            # A damaged one of the second bucket is copied as it is.
            said += [] if where.cid in targets else [f"{held.info.name} cannot be read: {error}"]
            continue
        spans += inside
        said += misnamed
    execute = world.server.model.execute
    tombstone = execute(["GET", world.keys.tomb(where)])
    went = target_of(tombstone) if tombstone else None
    held_by = execute(["HMGET", world.keys.conv(where), "merging", "held"])
    return Folder(
        spans,
        len(objects),
        None if went is None else Conversation.from_tag(went).cid,
        await verdict.books(world, where),
        await booked(make_bus(world.server, 0), where),
        any(held_by) and not any(map(world.chance.hits.get, LATE)),
        where.tag in world.operator.dropped or bool(world.part_deleter.parts),
    ), said


def _story(world: World, story: Story, folders: dict[str, Folder]) -> list[str]:
    """What is wrong with one recording, wherever it went."""
    there: list[Span] = []
    gone: list[Stretch] = []
    may: set[int] = set()
    merges = world.merger.of(story.tape.uid)
    copied = not all(one.deletes and one.succeeded for one in merges)
    for cid in dict.fromkeys([story.tape.cid, *(story.recorded_into(spell) for spell in story.spells)]):
        epochs = {spell.epoch for spell in story.spells if story.recorded_into(spell) == cid}
        way = on_the_way(folders, cid)
        spans = folders[way[-1]].spans
        there += [
            span
            for span in (once(spans) if copied else spans)
            if span.conversation == cid and (story.plain or span.epoch in epochs)
        ]
        gone += world.part_deleter.gone_of(story, Conversation(story.tape.uid, cid))
        may |= world.part_deleter.may_be_gone(story, [Conversation(story.tape.uid, one) for one in way])
    given = verdict.given_up(world, story)
    # Those of the conversations are looked at by themselves.
    books = Books(waits=False, balance=Balance(received=samples(there), stored=samples(there)))
    if story.plain:
        chunks = world.server.ledger.of(f"{story.tape.uid}/{story.tape.cid}")
        appended = [Given(held.id.epoch, held.first_offset, held.id.offset) for held in chunks]
        return wrong_plain(story, there, books, appended, given, whole=False)
    if world.chance.cuts:
        return wrong_in_part(story, there, (), books, gone, may, given)
    return wrong(story, there, books, lossy=False, given=given)
