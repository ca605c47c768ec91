"""What is deleted leaves Redis, and the books say so."""

import pytest
from redis.asyncio import RedisCluster

from audiobus import Bus, Conversation, ConversationGone, Cut, CutStands, EntryId, NameGone, PreRoll
from audiobus.answers import Marks
from audiobus.census import Balance, exact
from audiobus.deletions import (
    KEPT_MS,
    discard,
    emptied,
    expunge,
    gone,
    names_gone,
    set_tombstone,
    set_user_tombstone,
    sweep,
    unstore,
)
from audiobus.errors import BadEntryError, BusFullError, ConversationDeletedError

NAME = "chunks/user-1/conv-1/1.000-2.000.batch.bin"


def balance(received: int, stored: int, waiting: int, dead: int, deleted: int) -> Balance:
    """Of ms."""
    return Balance(*(48 * part for part in (received, stored, waiting, dead, deleted)))


async def write_cut(bus, conversation, upto: int) -> Cut:
    state = await bus.state(conversation)
    entries = await bus.read(conversation, count=100, last=EntryId(state.newest.epoch, upto))
    cut = Cut(1, str(entries[0].id), str(entries[-1].id), NAME, "standard", "size")
    assert await bus.cut(conversation, cut, settled=state.settled) == CutStands()
    return cut


async def finish(bus, conversation, cut, samples, *, preroll=None) -> bool:
    return await bus.finish(
        conversation, cut.encode(), last=cut.last_id, preroll=preroll, samples=samples, ends={}, now_ms=0
    )


async def bury(bus, conversation, offset: int) -> None:
    """The entry that ends there becomes a dead letter."""
    entries = await bus.read(conversation, count=100)
    [entry] = [one for one in entries if one.id.offset == offset]
    samples = entry.counted_samples
    assert await bus.bury(
        conversation, entry, reason="x", first_offset=offset - 100, samples=samples, now_ms=0
    )


def counted(entries) -> dict[EntryId, int]:
    return {entry.id: entry.counted_samples for entry in entries}


@pytest.fixture
async def recorded(bus, recorder, conversation):
    """Chunks of 100 ms that end at 100 to 600: the first is stored, two are dead letters, three wait."""
    opened = await recorder.open()
    for end in (100, 200, 300, 400, 500, 600):
        await recorder.append(end)
    await bury(bus, conversation, 300)
    await bury(bus, conversation, 500)
    cut = await write_cut(bus, conversation, 100)
    assert await finish(
        bus, conversation, cut, 4_800, preroll=PreRoll(opened.epoch, 5, 4_800, 100, (b"abc",))
    )
    assert await exact(bus, conversation) == balance(600, 100, 300, 200, 0)
    return opened


async def test_marks(bus, conversation, now_ms):
    assert await bus.marks(conversation) == Marks(deleted=False, before_ms=0)
    assert await set_user_tombstone(bus, conversation.uid, now_ms) == now_ms
    assert await set_user_tombstone(bus, conversation.uid, now_ms - 5) == now_ms
    assert await set_user_tombstone(bus, conversation.uid, now_ms + 5) == now_ms + 5
    assert await bus.marks(conversation) == Marks(deleted=False, before_ms=now_ms + 5)
    await set_tombstone(bus, conversation, now_ms)
    assert await bus.marks(conversation) == Marks(deleted=True, before_ms=now_ms + 5)
    assert await bus.marks(Conversation("user-2", conversation.cid)) == Marks(deleted=False, before_ms=0)
    for key in (bus.keys.tomb(conversation), bus.keys.user_tomb(conversation.uid)):
        assert 0 < await bus.command("PTTL", key) <= KEPT_MS
    await bus.command("SET", bus.keys.user_tomb(conversation.uid), "soon")
    with pytest.raises(BadEntryError, match="no time"):
        await bus.marks(conversation)


async def test_a_clock_that_is_ahead_deletes_nothing_that_is_recorded_afterwards(bus, conversation):
    def in_ms(time) -> int:
        return time[0] * 1000 + time[1] // 1000

    async def redis_ms() -> int:
        key = bus.keys.user_tomb(conversation.uid)
        if isinstance(bus.client, RedisCluster):
            return in_ms(await bus.client.time(target_nodes=bus.client.get_node_from_key(key)))
        return in_ms(await bus.client.time())

    await bus.ping()  # the client of a cluster knows now who has which key
    early = await redis_ms()
    stands = await set_user_tombstone(bus, conversation.uid, early + 3_600_000)
    assert early <= stands - 2_000 <= await redis_ms()
    # Two clocks that are right may be as far apart, and a repeat goes never back.
    assert await set_user_tombstone(bus, conversation.uid, stands - 10) == stands
    other = await redis_ms() + 1_500
    assert await set_user_tombstone(bus, "user-2", other) == other


async def test_nothing_is_swept_without_a_tombstone(recorded, bus, conversation, now_ms):
    assert await sweep(bus, conversation, now_ms) is None
    assert await emptied(bus, conversation) == 0
    assert await exact(bus, conversation) == balance(600, 100, 300, 200, 0)


async def test_a_sweep_counts_what_it_deletes_once(recorded, recorder, bus, conversation, now_ms):
    cut = await write_cut(bus, conversation, 400)
    await set_tombstone(bus, conversation, now_ms)
    await set_tombstone(bus, conversation, now_ms + 9)  # a repeat
    swept = await sweep(bus, conversation, now_ms + 20)
    assert (swept.samples, swept.since_ms) == (500 * 48, now_ms)
    assert await exact(bus, conversation) == balance(600, 100, 0, 0, 500)
    assert (await sweep(bus, conversation, now_ms + 30)).samples == 0
    # Whoever is about to settle what was put meanwhile comes too late, and whoever records is told.
    assert not await finish(bus, conversation, cut, 9_600)
    assert await bus.cut(conversation, cut, settled=EntryId(recorded.epoch, 100)) == ConversationGone()
    with pytest.raises(ConversationDeletedError):
        await recorder.append(700)
    state = await bus.state(conversation)
    assert (state.owner, state.preroll, state.cut) == (None, None, None)
    assert not await bus.buffered(conversation)
    assert not await bus.command("EXISTS", bus.keys.dead(conversation))
    assert (await bus.stored(conversation, recorded.epoch)).dead_offset is None
    assert await bus.command("PTTL", bus.keys.conv(conversation)) > 0
    # Then the bucket.
    assert [await emptied(bus, conversation), await emptied(bus, conversation)] == [4_800, 0]
    assert await exact(bus, conversation) == balance(600, 0, 0, 0, 600)


async def test_a_finish_before_the_sweep_is_counted(recorded, bus, conversation, now_ms):
    cut = await write_cut(bus, conversation, 400)
    await set_tombstone(bus, conversation, now_ms)
    assert await finish(bus, conversation, cut, 9_600)
    assert (await sweep(bus, conversation, now_ms)).samples == 300 * 48
    assert await exact(bus, conversation) == balance(600, 300, 0, 0, 300)
    assert await emptied(bus, conversation) == 300 * 48


async def test_a_conversation_can_be_recorded_into_again_when_its_tombstone_is_over(
    recorded, another, bus, conversation, now_ms
):
    await set_tombstone(bus, conversation, now_ms)
    await sweep(bus, conversation, now_ms)
    await bus.command("DEL", bus.keys.tomb(conversation))
    later = another()
    assert (await later.open(resume=recorded.epoch, now_ms=now_ms + KEPT_MS)).epoch > recorded.epoch
    await later.append(100)
    assert await bus.command("PTTL", bus.keys.conv(conversation)) == -1
    assert await exact(bus, conversation) == balance(700, 100, 100, 0, 500)


@pytest.mark.parametrize("tomb", ["1", "merged", "1732147200000 user-1/conv-2"])
async def test_since_when_a_tombstone_stands(tomb, recorded, bus, conversation, now_ms):
    await bus.command("SET", bus.keys.tomb(conversation), tomb)
    since_ms = now_ms if " " in tomb else now_ms + 50
    assert (await sweep(bus, conversation, now_ms + 50)).since_ms == since_ms
    assert (await sweep(bus, conversation, now_ms + 90)).since_ms == since_ms


async def test_a_merged_conversation_names_its_target(bus, conversation, now_ms):
    await set_tombstone(bus, conversation, now_ms, merged_into=Conversation("user-1", "conv-2"))
    assert await bus.command("GET", bus.keys.tomb(conversation)) == b"%d user-1/conv-2" % now_ms
    assert (await sweep(bus, conversation, now_ms + 7)).since_ms == now_ms
    assert await bus.command("KEYS", bus.keys.conv(conversation)) == []


async def test_discarding_a_dead_letter(recorded, bus, conversation):
    first, second = EntryId(recorded.epoch, 300), EntryId(recorded.epoch, 500)
    assert (await bus.stored(conversation, recorded.epoch)).dead_offset == 200
    assert await discard(bus, conversation, first, 0) == 4_800
    assert await discard(bus, conversation, first, 0) is None  # a lost reply
    assert await exact(bus, conversation) == balance(600, 100, 300, 100, 100)
    assert (await bus.stored(conversation, recorded.epoch)).dead_offset == 400
    assert await discard(bus, conversation, second, 0) == 4_800
    assert (await bus.stored(conversation, recorded.epoch)).dead_offset is None
    assert await exact(bus, conversation) == balance(600, 100, 300, 0, 200)
    assert await discard(bus, conversation, EntryId(1, 1), 0) is None


async def test_discarding_a_letter_that_holds_nothing(recorded, bus, conversation):
    """The books count 0 for what claims nothing; and `-0` is no number to Redis."""
    entry = (await bus.read(conversation, count=1))[0]
    await bus.bury(conversation, entry, reason="x", first_offset=0, samples=0, now_ms=0)
    assert await discard(bus, conversation, entry.id, 0) == 0
    assert await discard(bus, conversation, entry.id, 0) is None


async def test_expunging_what_came_first_settles_it(recorded, bus, conversation, now_ms):
    cut = await write_cut(bus, conversation, 400)
    entries = counted(await bus.read(conversation, count=2))
    what = {"cut": cut.encode(), "name": NAME, "preroll": True, "now_ms": now_ms}
    assert await expunge(bus, conversation, entries, **{**what, "cut": None}) is None  # another cut stands
    assert await exact(bus, conversation) == balance(600, 100, 300, 200, 0)
    assert await expunge(bus, conversation, entries, **what) == 9_600
    assert await expunge(bus, conversation, entries, **what) is None
    assert await expunge(bus, conversation, entries, **{**what, "cut": None}) == 0  # a lost reply
    assert await exact(bus, conversation) == balance(600, 100, 100, 200, 200)
    state = await bus.state(conversation)
    assert (state.settled, state.cut, state.preroll) == (EntryId(recorded.epoch, 400), None, None)
    assert await gone(bus, conversation) == {NAME: now_ms}
    assert not await finish(bus, conversation, cut, 9_600)
    # Whoever looks deletes what lies under that name, so nothing else may.
    assert await bus.cut(conversation, cut, settled=state.settled) == NameGone()


async def test_expunging_from_the_middle_settles_nothing(recorded, bus, conversation, now_ms):
    entries = counted((await bus.read(conversation, count=10))[1:2])
    what = {"cut": None, "name": "", "preroll": False, "now_ms": now_ms}
    assert await expunge(bus, conversation, entries, **what) == 4_800
    state = await bus.state(conversation)
    assert (state.settled, state.preroll is None) == (EntryId(recorded.epoch, 100), False)
    rest = await bus.read(conversation, count=10)
    assert [entry.id.offset for entry in rest] == [200, 600]
    assert await expunge(bus, conversation, counted(rest), **what) == 9_600
    assert (await bus.state(conversation)).settled == EntryId(recorded.epoch, 600)
    assert await exact(bus, conversation) == balance(600, 100, 0, 200, 300)
    assert await gone(bus, conversation) == {}


async def test_objects_that_are_deleted_are_counted_once(recorded, bus, conversation, now_ms):
    other = NAME.replace("2.000", "2.001")
    assert await unstore(bus, conversation, {NAME: 1_000, other: 0}, now_ms) == 1_000
    assert await unstore(bus, conversation, {NAME: 1_000, other: 0}, now_ms + 1) == 0
    assert await gone(bus, conversation) == {NAME: now_ms, other: now_ms}
    assert await exact(bus, conversation) == Balance(28_800, 3_800, 14_400, 9_600, 1_000)
    # Redis knows of 3,800 samples more: what was stored before it knew the conversation was never received.
    assert await unstore(bus, conversation, {"an older one": 99_000}, now_ms) == 3_800
    assert (await exact(bus, conversation)).difference == 0


async def test_an_object_that_is_put_and_not_settled_is_counted_where_its_entries_lie(
    recorded, bus, conversation, now_ms
):
    cut = await write_cut(bus, conversation, 400)
    last = {NAME: cut.last_id}
    assert await unstore(bus, conversation, {NAME: 9_600}, now_ms, last=last) == 0
    assert await gone(bus, conversation) == {NAME: now_ms}
    # Whoever is putting it does not settle by it any more.
    assert not await finish(bus, conversation, cut, 9_600)
    assert await exact(bus, conversation) == balance(600, 100, 300, 200, 0)
    entries = counted(await bus.read(conversation, count=2))
    await expunge(bus, conversation, entries, cut=None, name="", preroll=False, now_ms=now_ms)
    assert await exact(bus, conversation) == balance(600, 100, 100, 200, 200)


async def test_an_object_whose_entries_are_gone_is_counted(recorded, bus, conversation, now_ms):
    last = {NAME: EntryId(recorded.epoch, 100)}
    assert await unstore(bus, conversation, {NAME: 4_800}, now_ms, last=last) == 4_800
    assert await exact(bus, conversation) == balance(600, 0, 300, 200, 100)


async def test_an_object_of_dead_letters_that_are_not_settled_is_counted_where_they_lie(
    recorded, bus, conversation, now_ms
):
    """A second try has put it, and has not said so yet."""
    await bus.command("HSET", bus.keys.conv(conversation), "again_cut", b"\x91" + NAME.encode() + b"\x00")
    last = {NAME: EntryId(recorded.epoch, 300)}
    assert await unstore(bus, conversation, {NAME: 4_800}, now_ms, last=last) == 0
    assert not await bus.command("HEXISTS", bus.keys.conv(conversation), "again_cut")
    assert await exact(bus, conversation) == balance(600, 100, 300, 200, 0)


async def test_the_cut_of_another_object_stays(recorded, bus, conversation, now_ms):
    cut = await write_cut(bus, conversation, 400)
    await unstore(bus, conversation, {NAME.replace("2.000", "2.001"): 0}, now_ms)
    assert (await bus.state(conversation)).cut == cut.encode()


async def test_names_that_were_seen_to_stay_noted(recorded, bus, conversation, now_ms):
    other = NAME.replace("2.000", "2.001")
    assert not (await bus.state(conversation)).gone
    await unstore(bus, conversation, {NAME: 0}, now_ms)
    await unstore(bus, conversation, {other: 0}, now_ms + 1)
    assert (await bus.state(conversation)).gone
    assert await names_gone(bus, conversation, {NAME: now_ms, other: now_ms}, now_ms) == 1
    assert await gone(bus, conversation) == {NAME: 0, other: now_ms + 1}
    assert (await bus.state(conversation)).gone
    assert await names_gone(bus, conversation, {other: now_ms + 1}, now_ms) == 0
    assert not (await bus.state(conversation)).gone


async def test_objects_of_a_conversation_that_is_forgotten_are_noted(bus, conversation, now_ms):
    assert await unstore(bus, conversation, {NAME: 1_000}, now_ms) == 0
    assert await gone(bus, conversation) == {NAME: now_ms}
    # Else nobody saw to the name; and it is known no longer than that.
    assert (await bus.state(conversation)).gone
    assert await bus.command("PTTL", bus.keys.conv(conversation)) > 0


async def test_what_is_noted_is_known_for_a_month_and_no_audio_is_forgotten(
    recorded, bus, conversation, now_ms
):
    """Of a conversation that is known the books, and all that waits, stay as long as they would have; of one that is not, what is noted alone."""
    unknown = Conversation("user-1", "forgotten")
    for whose in (conversation, unknown):
        await unstore(bus, whose, {NAME: 0}, now_ms)
        left_ms = await bus.command("PTTL", bus.keys.gone(whose))
        assert KEPT_MS - 60_000 < left_ms <= KEPT_MS
    assert await bus.command("PTTL", bus.keys.conv(conversation)) == -1
    assert await bus.command("PTTL", bus.keys.audio(conversation)) == -1
    left_ms = await bus.command("PTTL", bus.keys.conv(unknown))
    assert KEPT_MS - 60_000 < left_ms <= KEPT_MS
    assert (await bus.state(unknown)).gone


async def test_forgetting_keeps_the_books_of_dead_letters(recorded, bus, conversation, now_ms):
    cut = await write_cut(bus, conversation, 600)
    assert await finish(bus, conversation, cut, 3 * 4_800)
    assert await bus.forget(conversation, now_ms + 25 * 3_600_000)
    assert await bus.command("PTTL", bus.keys.conv(conversation)) == -1
    assert await exact(bus, conversation) == balance(600, 400, 0, 200, 0)
    for offset in (300, 500):
        await discard(bus, conversation, EntryId(recorded.epoch, offset), now_ms)
    assert await bus.forget(conversation, now_ms + 25 * 3_600_000)
    assert await bus.command("PTTL", bus.keys.conv(conversation)) > 0
    assert await exact(bus, conversation) == balance(600, 400, 0, 0, 200)


@pytest.mark.parametrize("server", ["redis_7_url", "redis_62_url"])
async def test_deleting_goes_on_when_memory_is_full(server, request, recorder_on, now_ms):
    """It is one of the two ways to free some."""
    conversation = Conversation("user-1", "conv-1")
    async with Bus(request.getfixturevalue(server), prefix="t-full-deletions:") as bus:
        for key in await bus.command("KEYS", f"{bus.keys.prefix}*"):
            await bus.command("DEL", key)
        recorder = recorder_on(bus)
        opened = await recorder.open()
        for end in (100, 200, 300, 400):
            await recorder.append(end)
        await bury(bus, conversation, 200)
        await bury(bus, conversation, 300)
        cut = await write_cut(bus, conversation, 100)
        await bus.command("CONFIG", "SET", "maxmemory", "1")
        try:
            with pytest.raises(BusFullError):
                await recorder.append(500)
            assert await exact(bus, conversation) == balance(400, 0, 200, 200, 0)
            await set_user_tombstone(bus, "user-1", now_ms)
            first = await bus.read(conversation, count=2)
            how = {"cut": cut.encode(), "name": NAME, "preroll": True, "now_ms": now_ms}
            assert await expunge(bus, conversation, counted(first), **how) == 4_800
            assert await discard(bus, conversation, EntryId(opened.epoch, 200), now_ms) == 4_800
            assert await unstore(bus, conversation, {"name": 1}, now_ms) == 0
            await set_tombstone(bus, conversation, now_ms)
            assert (await sweep(bus, conversation, now_ms)).samples == 9_600
            assert await emptied(bus, conversation) == 0
            assert await exact(bus, conversation) == balance(400, 0, 0, 0, 400)
        finally:
            await bus.command("CONFIG", "SET", "maxmemory", "0")
