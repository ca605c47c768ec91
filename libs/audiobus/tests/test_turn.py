"""A pusher's turn: what is read with the lease, and how it ends."""

import pytest

from audiobus import Bus, Cut, CutStands, SettledMoved
from audiobus.deletions import names_gone, set_tombstone, set_user_tombstone, unstore
from audiobus.errors import BadEntryError, BusContractError
from audiobus.turn import UserRules, part, take, user_rules

TTL_MS = 30_000
ME, OTHER = "me", "somebody else"


@pytest.fixture
async def recorded(recorder):
    """A session with chunks that end at 100, 200 and 300."""
    opened = await recorder.open()
    for end in (100, 200, 300):
        await recorder.append(end)
    return opened


async def test_everything_is_read_with_the_lease(recorded, bus, conversation):
    taken = await take(bus, conversation, ME, TTL_MS, entries=10)
    assert taken.state() == await bus.state(conversation)
    assert taken.entries == await bus.read(conversation, count=10)
    assert (taken.deleted, taken.buffered) == (False, True)
    assert 0 < await bus.command("PTTL", bus.keys.lease(conversation)) <= TTL_MS
    assert not await bus.take_lease(conversation, OTHER, TTL_MS)


async def test_a_restart_is_another_history_and_what_was_decided_in_the_former_one_is_not_cut(
    redis_process, recorder_on
):
    async with Bus(redis_process.url) as bus:
        recorder = recorder_on(bus)
        opened = await recorder.open()
        await recorder.append(100)
        before = (await take(bus, recorder.conversation, ME, TTL_MS, entries=1)).history
        redis_process.kill()
        redis_process.start()
    async with Bus(redis_process.url) as bus:
        after = (await take(bus, recorder.conversation, ME, TTL_MS, entries=1)).history
        assert after != before
        last = f"{opened.epoch}-100"
        cut = Cut(1, f"{opened.epoch}-0", last, "chunks/u/c/1.000-2.000.batch.bin", "standard", "idle")
        for _ in range(2):
            assert await bus.cut(recorder.conversation, cut, settled=None, history=before) == SettledMoved(
                None
            )
        assert (await bus.state(recorder.conversation)).cut is None
        assert await bus.cut(recorder.conversation, cut, settled=None, history=after) == CutStands()


async def test_no_more_entries_than_were_asked_for(recorded, bus, conversation):
    taken = await take(bus, conversation, ME, TTL_MS, entries=2)
    assert taken.entries == await bus.read(conversation, count=2)


async def test_entries_end_with_the_one_that_brings_them_to_enough_bytes(recorded, bus, conversation):
    everything = await bus.read(conversation, count=10)
    sizes = [entry.size_bytes for entry in everything]
    for enough, count in ((1, 1), (sizes[0], 1), (sizes[0] + 1, 2), (sum(sizes), 4), (sum(sizes) + 1, 4)):
        taken = await take(bus, conversation, ME, TTL_MS, entries=10, enough_bytes=enough)
        assert taken.entries == everything[:count]
        assert taken.history


async def test_what_somebody_else_holds_is_not_read(recorded, bus, conversation):
    assert await bus.take_lease(conversation, OTHER, TTL_MS)
    assert await take(bus, conversation, ME, TTL_MS, entries=10) is None
    await bus.release_lease(conversation, OTHER)
    assert await take(bus, conversation, ME, TTL_MS, entries=10) is not None
    # Again by the same holder: renewed.
    assert await take(bus, conversation, ME, TTL_MS, entries=10) is not None


async def test_nothing_is_there(bus, conversation):
    taken = await take(bus, conversation, ME, TTL_MS, entries=10)
    assert not taken.state().exists
    assert (taken.entries, taken.buffered) == ([], False)


async def test_a_tombstone_is_seen(recorded, bus, conversation):
    await set_tombstone(bus, conversation, 1)
    assert (await take(bus, conversation, ME, TTL_MS, entries=10)).deleted


async def test_a_field_of_nobodys_leaves_the_lease_taken(recorded, bus, conversation):
    await bus.command("HSET", bus.keys.conv(conversation), "settled", "no id")
    taken = await take(bus, conversation, ME, TTL_MS, entries=10)
    with pytest.raises(BadEntryError):
        taken.state()
    assert not await bus.take_lease(conversation, OTHER, TTL_MS)


async def test_it_works_in_a_redis_that_is_full(recorded, bus, conversation):
    """Draining must go on: nothing else frees memory."""
    await bus.command("CONFIG", "SET", "maxmemory", 1)
    try:
        taken = await take(bus, conversation, ME, TTL_MS, entries=10)
        assert len(taken.entries) == 4
        assert await part(bus, conversation, ME, taken.state()) is None
    finally:
        await bus.command("CONFIG", "SET", "maxmemory", 0)


async def test_the_lease_is_given_back_where_nothing_came(recorded, bus, conversation):
    taken = await take(bus, conversation, ME, TTL_MS, entries=10)
    assert await part(bus, conversation, ME, taken.state()) is None
    assert await bus.take_lease(conversation, OTHER, TTL_MS)


async def test_it_stays_where_something_was_appended(recorded, recorder, bus, conversation):
    taken = await take(bus, conversation, ME, TTL_MS, entries=10)
    await recorder.append(400)
    after = await part(bus, conversation, ME, taken.state())
    assert after == await bus.state(conversation)
    assert not await bus.take_lease(conversation, OTHER, TTL_MS)
    assert await part(bus, conversation, ME, after) is None


async def test_it_stays_where_something_was_asked_for(recorded, bus, conversation):
    taken = await take(bus, conversation, ME, TTL_MS, entries=10)
    await bus.ask(conversation, "flush")
    assert (await part(bus, conversation, ME, taken.state())).flush == taken.state().newest


async def test_it_stays_where_a_name_was_noted_that_must_not_stay(recorded, bus, conversation):
    taken = await take(bus, conversation, ME, TTL_MS, entries=10)
    await unstore(bus, conversation, {"chunks/a": 1}, 1)
    after = await part(bus, conversation, ME, taken.state())
    assert after.gone
    assert not await bus.take_lease(conversation, OTHER, TTL_MS)
    # Another one: whoever saw the first comes back soon anyway.
    await unstore(bus, conversation, {"chunks/b": 1}, 2)
    assert await part(bus, conversation, ME, after) is None


async def test_names_that_were_seen_to_meanwhile_keep_nobody(recorded, bus, conversation):
    await unstore(bus, conversation, {"chunks/a": 1}, 1)
    taken = await take(bus, conversation, ME, TTL_MS, entries=10)
    assert await names_gone(bus, conversation, {"chunks/a": 1}, 2) == 0
    assert await part(bus, conversation, ME, taken.state()) is None


async def test_somebody_elses_lease_is_not_given_back(recorded, bus, conversation):
    taken = await take(bus, conversation, ME, TTL_MS, entries=10)
    await bus.release_lease(conversation, ME)
    assert await bus.take_lease(conversation, OTHER, TTL_MS)
    assert await part(bus, conversation, ME, taken.state()) is None
    assert not await bus.take_lease(conversation, ME, TTL_MS)


async def test_a_cut_that_came_meanwhile_keeps_nobody(recorded, bus, conversation):
    """It is on `due`; only what hints speak of is looked for."""
    taken = await take(bus, conversation, ME, TTL_MS, entries=10)
    newest = taken.state().newest
    cut = Cut(1, str(newest), str(newest), "", "standard", "size")
    await bus.cut(conversation, cut, settled=None)
    assert await part(bus, conversation, ME, taken.state()) is None


async def test_what_holds_for_a_user(bus, conversation):
    uid = conversation.uid
    assert await user_rules(bus, uid) == UserRules({}, 0)
    await bus.command("HSET", bus.keys.user(uid), "protection", "enhanced", "daily_limit_ms", "5")
    await set_user_tombstone(bus, uid, 77)
    rules = await user_rules(bus, uid)
    assert rules == UserRules({"protection": "enhanced", "daily_limit_ms": "5"}, 77)


async def test_a_users_tombstone_that_is_no_time(bus, conversation):
    await bus.command("SET", bus.keys.user_tomb(conversation.uid), "soon")
    with pytest.raises(BadEntryError):
        await user_rules(bus, conversation.uid)


async def test_keys_of_another_kind_are_told(bus, conversation):
    await bus.command("SET", bus.keys.user(conversation.uid), "no hash")
    with pytest.raises(BusContractError):
        await user_rules(bus, conversation.uid)
