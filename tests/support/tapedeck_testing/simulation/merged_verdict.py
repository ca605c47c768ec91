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
    found += [
        f"{one.tag} was told to be deleted, and is not"
        for one in world.whole_deleter.told
        if one.uid == uid and not folders[one.cid].deleted
    ]
    found += _forgotten(world, uid, folders)
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
    merging, holder, until_ms = execute(["HMGET", world.keys.conv(where), "merging", "held", "merge_until"])
    # Whoever holds it before a merge is written down may die: such a hold ends by itself.
    holds = holder and int(until_ms) > int(execute(["TIME"])[0]) * 1000
    return Folder(
        spans,
        len(objects),
        None if went is None else Conversation.from_tag(went).cid,
        tombstone is not None and went is None,
        await verdict.books(world, where),
        await booked(make_bus(world.server, 0), where),
        bool(merging or holds) and not any(map(world.chance.hits.get, LATE)),
        where.tag in world.operator.dropped
        or bool(world.part_deleter.parts)
        or where.uid in world.forgetting,
    ), said


def _story(world: World, story: Story, folders: dict[str, Folder]) -> list[str]:
    """What is wrong with one recording, wherever it went."""
    there: list[Span] = []
    gone: list[Stretch] = []
    may: set[int] = set()
    merges = world.merger.of(story.tape.uid)
    # Of two sealed objects of the same runs, one in each bucket, both are copied.
    copied = not all(one.deletes and one.succeeded for one in merges) or world.second is not None
    if folders[on_the_way(folders, story.tape.cid)[-1]].deleted:
        return _deleted(story, folders, copied=copied)
    if story.gone and not story.merged:
        return ["its device was told that it is deleted, and it is not"]
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


def _deleted(story: Story, folders: dict[str, Folder], *, copied: bool) -> list[str]:
    """What is wrong with a recording that went where a conversation was deleted. What else a merge copied it into may have it still."""
    ids = {story.tape.cid, *(story.recorded_into(spell) for spell in story.spells)}
    left = [
        cid
        for cid, folder in folders.items()
        if any(
            span.conversation in ids and (story.plain or span.epoch in _epochs(story))
            for span in folder.spans
        )
    ]
    found = [] if copied else [f"it was deleted, and something of it lies in {cid}" for cid in left]
    return [*story.violations, *found]


def _epochs(story: Story) -> set[int]:
    return {spell.epoch for spell in story.spells}


def _forgotten(world: World, uid: str, folders: dict[str, Folder]) -> list[str]:
    """What is there that its user had deleted, and was told to be gone: spans all of whose chunks were made before."""
    before_ms = world.whole_deleter.forgotten.get(uid)
    if before_ms is None:
        return []
    found = []
    for cid, folder in folders.items():
        for span in folder.spans:
            chunks = [
                held
                for held in world.server.ledger.of(f"{uid}/{span.conversation}")
                if held.id.epoch == span.epoch
                and held.first_offset < span.end_offset
                and span.first_offset < held.id.offset
            ]
            if chunks and all(held.made_ms is not None and held.made_ms < before_ms for held in chunks):
                found.append(
                    f"{cid}: {span.first_offset}-{span.end_offset} of {span.conversation} {span.epoch} is there, and was deleted"
                )
    return found
