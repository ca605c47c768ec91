"""`due` and `ready`."""

import asyncio
import uuid

import pytest

from audiobus import Bus, Conversation, Hints
from audiobus.connection import open_client
from audiobus.errors import BusContractError, BusFullError, BusUnavailableError
from audiobus.keys import GROUP


@pytest.fixture
async def hints(bus):
    made = Hints(bus)
    for partition in range(bus.keys.partitions):
        await made.make_group(partition)
        await made.make_group(partition)  # again is fine
    return made


async def test_a_hint_goes_to_one_consumer_and_leaves_when_done(hints, bus, conversation):
    await hints.ready(conversation, "finalize")
    partition = bus.keys.partition(conversation)
    [hint] = await hints.take(bus.client, partition, "a", count=10, block_ms=None)
    assert (hint.conversation, hint.reason) == (conversation, "finalize")
    assert await hints.take(bus.client, partition, "b", count=10, block_ms=None) == []
    assert await hints.take(bus.client, partition, "a", count=10, block_ms=None, pending=True) == [hint]
    await hints.done(hint)
    assert await hints.take(bus.client, partition, "a", count=10, block_ms=None, pending=True) == []
    assert await bus.command("XLEN", bus.keys.ready(partition)) == 0


async def test_several_are_hinted_at_together(hints, bus):
    several = [Conversation("u", f"c{number}") for number in range(20)]
    assert await hints.ready_together([], "pressure") == 0
    assert await hints.ready_together(several, "pressure") == 20
    found = []
    for partition in range(bus.keys.partitions):
        found += await hints.take(bus.client, partition, "a", count=30, block_ms=None)
    assert {hint.conversation for hint in found} == {*several}
    assert {hint.reason for hint in found} == {"pressure"}


async def test_where_none_can_be_hinted_at_that_is_told(redis_process, conversation):
    async with Bus(redis_process.url) as bus:
        await bus.command("SET", bus.keys.ready(0), "no stream")
        with pytest.raises(BusContractError, match="WRONGTYPE"):
            await Hints(bus).ready_together([conversation], "pressure")
        redis_process.kill()
        with pytest.raises(BusUnavailableError):
            await Hints(bus).ready_together([conversation], "pressure")


async def test_a_dead_consumers_hint_is_claimed(hints, bus, conversation):
    await hints.ready(conversation, "end")
    partition = bus.keys.partition(conversation)
    [hint] = await hints.take(bus.client, partition, "dead", count=10, block_ms=None)
    assert await hints.claim(partition, "alive", idle_ms=60_000, count=10) == []
    assert await hints.claim(partition, "alive", idle_ms=0, count=10) == [hint]


async def test_a_blocking_read_waits_without_error(hints, bus, conversation):
    client = open_client(bus.url, blocking_s=1)
    try:
        assert await hints.take(client, bus.keys.partition(conversation), "a", count=10, block_ms=50) == []
    finally:
        await client.aclose()


async def test_due_only_moves_forward_for_those_who_did_not_look(hints, bus, conversation, now_ms):
    key = bus.keys.due(bus.keys.partition(conversation))
    await hints.due(conversation, now_ms + 60_000)
    await hints.due(conversation, now_ms + 90_000)
    assert float(await bus.command("ZSCORE", key, conversation.tag)) == now_ms + 60_000
    await hints.due(conversation, now_ms + 10_000)
    assert float(await bus.command("ZSCORE", key, conversation.tag)) == now_ms + 10_000
    await hints.push_due(conversation, now_ms + 120_000)
    assert float(await bus.command("ZSCORE", key, conversation.tag)) == now_ms + 120_000


async def test_the_scheduler_takes_only_what_is_past_due(hints, bus, now_ms):
    for number in range(5):
        await hints.due(Conversation("u", f"c{number}"), now_ms + number * 1000)
    hinted = [await hints.schedule(p, now_ms + 2000, now_ms + 30_000) for p in range(bus.keys.partitions)]
    assert sum(hinted) == 3
    hinted = [await hints.schedule(p, now_ms + 2000, now_ms + 30_000) for p in range(bus.keys.partitions)]
    assert sum(hinted) == 0


async def test_leaving_needs_that_there_is_no_buffer(hints, bus, recorder, conversation, now_ms):
    key = bus.keys.due(bus.keys.partition(conversation))
    await hints.due(conversation, now_ms)
    assert await hints.leave(conversation, now_ms + 1)
    assert await bus.command("ZSCORE", key, conversation.tag) is None
    await recorder.open()
    assert not await hints.leave(conversation, now_ms + 1)
    assert await bus.command("ZSCORE", key, conversation.tag) is not None


async def test_a_hint_that_names_nothing_can_still_be_acknowledged(hints, bus, conversation):
    await bus.command("XADD", bus.keys.ready(0), "*", "c", "no-slash")
    await bus.command("XADD", bus.keys.ready(0), "*", "x", "y")
    taken = await hints.take(bus.client, 0, "a", count=10, block_ms=None)
    assert [hint.conversation for hint in taken] == [None, None]


async def test_leases(bus, conversation):
    assert await bus.take_lease(conversation, "a", 30_000)
    assert await bus.take_lease(conversation, "a", 30_000)  # renewed, or taken over by a's next life
    assert not await bus.take_lease(conversation, "b", 30_000)
    await bus.release_lease(conversation, "b")
    assert not await bus.take_lease(conversation, "b", 30_000)
    await bus.release_lease(conversation, "a")
    assert await bus.take_lease(conversation, "b", 30_000)
    assert 0 < await bus.command("PTTL", bus.keys.lease(conversation)) <= 30_000


async def test_a_full_redis_makes_groups_and_takes_what_is_due(redis_process, conversation):
    """Draining must go on: a pusher that starts then would otherwise never read a hint."""
    async with Bus(redis_process.url) as bus:
        hints = Hints(bus)
        await bus.command("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(BusFullError):
            await bus.command("SET", "anything", "x")
        assert [await hints.make_group(0) for _ in range(2)] == [True, False]
        await hints.put_on_due([(conversation, 5)])
        assert await hints.schedule(0, 5, 9) == 1
        assert [
            hint.conversation for hint in await hints.take(bus.client, 0, "me", count=9, block_ms=None)
        ] == [conversation]


async def test_a_group_that_cannot_be_made_is_told(one_bus):
    await one_bus.command("SET", one_bus.keys.ready(0), "no stream")
    with pytest.raises(BusContractError, match="WRONGTYPE"):
        await Hints(one_bus).make_group(0)


async def test_what_is_missing_on_due_is_put_there_and_no_more(hints, bus):
    known = Conversation("u", "known")
    others = [Conversation("u", f"c{number}") for number in range(20)]
    await hints.due(known, 5)
    await hints.put_on_due([(one, 9) for one in (known, *others)])
    await hints.put_on_due([])
    for one in (known, *others):
        assert int(await bus.command("ZSCORE", bus.keys.due(bus.keys.partition(one)), one.tag)) == (
            5 if one is known else 9
        )


async def test_what_stands_on_due_for_too_late_is_put_there_anew(hints, bus):
    """A pusher whose clock is an hour ahead had it there."""
    late, just, missing = (Conversation("u", name) for name in ("late", "just", "missing"))
    await hints.due(late, 3_600_001)
    await hints.due(just, 3_600_000)
    await hints.put_on_due([(one, 9) for one in (late, just, missing)], latest_ms=3_600_000)
    for one, at_ms in ((late, 9), (just, 3_600_000), (missing, 9)):
        assert int(await bus.command("ZSCORE", bus.keys.due(bus.keys.partition(one)), one.tag)) == at_ms


async def test_how_often_a_hint_was_delivered(bus, conversation):
    hints = Hints(bus)
    partition = bus.keys.partition(conversation)
    assert await hints.deliveries(partition, count=9) == {}
    await hints.make_group(partition)
    await hints.ready(conversation, "test")
    assert await hints.deliveries(partition, count=9) == {}
    [hint] = await hints.take(bus.client, partition, "one", count=9, block_ms=None)
    assert await hints.deliveries(partition, count=9) == {hint.id: 1}
    await hints.take(bus.client, partition, "one", count=9, block_ms=None, pending=True)
    assert await hints.claim(partition, "two", idle_ms=0, count=9) == [hint]
    assert await hints.deliveries(partition, count=9) == {hint.id: 3}
    await hints.done(hint)
    assert await hints.deliveries(partition, count=9) == {}


@pytest.mark.parametrize("kind", ["redis_url", "redis_62_url"])
async def test_what_was_followed_and_lies_there_is_no_hint_any_more(kind, request, conversation):
    """As one that stopped between acknowledging and deleting it left it."""
    async with Bus(request.getfixturevalue(kind), prefix=f"t{uuid.uuid4().hex[:12]}:") as bus:
        hints, key = Hints(bus), bus.keys.ready(0)
        assert await hints.unfollowed(0) == 0
        for _ in range(3):
            await hints.ready(conversation, "end")
        assert await hints.unfollowed(0) == 3
        await hints.make_group(0)
        assert await hints.unfollowed(0) == 3
        first, second, third = await hints.take(bus.client, 0, "me", count=3, block_ms=None)
        await hints.ready(conversation, "new")
        assert await hints.unfollowed(0) == 4
        await bus.command("XACK", key, GROUP, first.id, third.id)
        # The one that stands above what is held goes when that is done: it counts no more even now.
        assert await hints.unfollowed(0) == 2
        assert await bus.command("XLEN", key) == 3
        assert await hints.take(bus.client, 0, "me", count=9, block_ms=None, pending=True) == [second]
        await bus.command("XACK", key, GROUP, second.id)
        assert await hints.unfollowed(0) == 1
        [new] = await hints.take(bus.client, 0, "me", count=9, block_ms=None)
        assert new.reason == "new"
        await hints.done(new)
        assert await hints.unfollowed(0) == 0
        assert await bus.command("XLEN", key) == 0


async def test_a_hint_that_is_done_is_acknowledged_and_gone_in_one_step(
    hints, bus, conversation, monkeypatch
):
    """Between two steps it would be neither held nor new, and lie there for ever."""
    await hints.ready(conversation, "end")
    partition = bus.keys.partition(conversation)
    [hint] = await hints.take(bus.client, partition, "me", count=9, block_ms=None)
    sent = []
    execute = bus.client.execute_command

    async def counted(*args, **options):
        sent.append(args[0])
        return await execute(*args, **options)

    monkeypatch.setattr(bus.client, "execute_command", counted)
    await hints.done(hint)
    await hints.done(hint)  # the reply was lost
    assert sent in (["EVALSHA", "EVALSHA"], ["EVALSHA", "EVAL", "EVALSHA"])


@pytest.mark.parametrize("kind", ["redis_url", "redis_62_url"])
async def test_consumers_that_never_come_back_are_forgotten(kind, request, conversation, monkeypatch):
    async with Bus(request.getfixturevalue(kind), prefix=f"t{uuid.uuid4().hex[:12]}:") as bus:
        hints = Hints(bus)
        assert await hints.drop_consumers(0) == 0
        await hints.ready(conversation, "end")
        await hints.ready(conversation, "end")
        assert await hints.drop_consumers(0) == 0  # no group yet
        await hints.make_group(0)
        [hint] = await hints.take(bus.client, 0, "dead with a hint", count=1, block_ms=None)
        [other] = await hints.take(bus.client, 0, "asks", count=1, block_ms=None)
        await hints.done(other)
        assert await hints.drop_consumers(0) == 0
        client = open_client(bus.url, blocking_s=5)
        asking = asyncio.create_task(hints.take(client, 0, "asks", count=9, block_ms=5_000))
        while not (await bus.client.info("clients"))["blocked_clients"]:
            await bus.ping()
        monkeypatch.setattr("audiobus.hints.CONSUMER_KEPT_MS", -1)
        assert await hints.drop_consumers(0) == 1
        # One that asks just then, or comes back, is none the worse for it.
        await hints.ready(conversation, "new")
        [new] = await asking
        await client.aclose()
        assert await hints.take(bus.client, 0, "asks", count=9, block_ms=None, pending=True) == [new]
        assert await hints.claim(0, "alive", idle_ms=0, count=1) == [hint]


async def test_a_full_redis_forgets_consumers_and_counts_hints(redis_process, conversation, monkeypatch):
    async with Bus(redis_process.url) as bus:
        hints = Hints(bus)
        await hints.make_group(0)
        await hints.ready(conversation, "end")
        [hint] = await hints.take(bus.client, 0, "me", count=9, block_ms=None)
        await bus.command("CONFIG", "SET", "maxmemory", "1")
        assert await hints.unfollowed(0) == 1
        await hints.done(hint)
        assert await hints.unfollowed(0) == 0
        monkeypatch.setattr("audiobus.hints.CONSUMER_KEPT_MS", -1)
        assert await hints.drop_consumers(0) == 1


async def test_consumers_of_what_is_no_stream_are_told(one_bus):
    await one_bus.command("SET", one_bus.keys.ready(0), "no stream")
    with pytest.raises(BusContractError, match="WRONGTYPE"):
        await Hints(one_bus).drop_consumers(0)
