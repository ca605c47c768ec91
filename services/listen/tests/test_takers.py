"""Plain sockets for one conversation: each waits for those that arrived before it, and none is sent away by one of those."""

import asyncio

from audiobus import Conversation
from listen.takers import Takers

CALL = Conversation("alice", "call")
NEXT = Conversation("alice", "next")


class Socket:
    def __init__(self) -> None:
        self.superseded = 0

    def supersede(self) -> None:
        self.superseded += 1


async def begins(takers: Takers, socket: Socket, arrived_ms: int) -> asyncio.Task[None]:
    waiting = asyncio.create_task(takers.take(CALL, socket, arrived_ms))
    await asyncio.sleep(0)
    return waiting


async def test_who_comes_alone_waits_for_nobody():
    takers, first = Takers(), Socket()
    await takers.take(CALL, first, 1)
    await takers.take(CALL, first, 1)
    await takers.take(NEXT, Socket(), 2)
    assert first.superseded == 0


async def test_who_comes_next_waits_until_the_older_one_is_safe():
    takers, older, newer = Takers(), Socket(), Socket()
    await takers.take(CALL, older, 1)
    waiting = await begins(takers, newer, 2)
    assert older.superseded == 1
    assert not waiting.done()
    takers.leave(older)
    await asyncio.wait_for(waiting, 60)
    # The older one's end does not take the conversation from the newer one.
    third = await begins(takers, Socket(), 3)
    assert newer.superseded == 1
    takers.leave(newer)
    await asyncio.wait_for(third, 60)


async def test_one_that_asks_again_never_sends_away_who_arrived_later():
    takers, older, newer = Takers(0.01), Socket(), Socket()
    await takers.take(CALL, older, 1)
    await takers.take(CALL, newer, 2)
    for _ in range(3):
        await takers.take(CALL, older, 1)
        await takers.take(CALL, newer, 2)
    assert (older.superseded, newer.superseded) == (1, 0)


async def test_one_that_arrived_earlier_and_asks_later_is_told_at_once_and_waited_for():
    takers, older, newer = Takers(), Socket(), Socket()
    await takers.take(CALL, newer, 2)
    await takers.take(CALL, older, 1)
    assert (older.superseded, newer.superseded) == (1, 0)
    waiting = await begins(takers, newer, 2)
    assert not waiting.done()
    takers.leave(older)
    await asyncio.wait_for(waiting, 60)


async def test_of_two_that_arrived_at_once_the_first_to_ask_is_the_older():
    takers, older, newer = Takers(0.01), Socket(), Socket()
    await takers.take(CALL, older, 1)
    await takers.take(CALL, newer, 1)
    await takers.take(CALL, older, 1)
    assert (older.superseded, newer.superseded) == (1, 0)


async def test_who_waits_and_leaves_is_not_waited_for_but_the_one_before_it_is():
    takers, first, second = Takers(), Socket(), Socket()
    await takers.take(CALL, first, 1)
    given_up = await begins(takers, second, 2)
    waiting = await begins(takers, Socket(), 3)
    takers.leave(second)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    takers.leave(first)
    await asyncio.wait_for(waiting, 60)
    await asyncio.wait_for(given_up, 60)


async def test_one_that_does_not_come_to_its_end_is_waited_for_no_longer():
    takers, older = Takers(0.01), Socket()
    await takers.take(CALL, older, 1)
    await asyncio.wait_for(takers.take(CALL, Socket(), 2), 60)
    takers.leave(older)


async def test_who_has_changed_the_conversation_stands_in_the_former_no_more():
    takers, older = Takers(), Socket()
    await takers.take(CALL, older, 1)
    await takers.take(NEXT, older, 2)
    await asyncio.wait_for(takers.take(CALL, Socket(), 3), 60)
    assert older.superseded == 0


async def test_one_that_is_safe_at_once_is_not_waited_for_and_nothing_is_left():
    takers = Takers()

    class Ready(Socket):
        def supersede(self) -> None:
            takers.leave(self)

    newer = Socket()
    await takers.take(CALL, Ready(), 1)
    await asyncio.wait_for(takers.take(CALL, newer, 2), 60)
    takers.leave(newer)
    takers.leave(newer)
    assert len(takers) == 0


async def test_while_redis_takes_nothing_the_older_device_leaves_the_newer_one_alone(
    make_service, redis_process, second
):
    query = "conversation_id=call&codec=pcm16&sample_rate=16000"
    service = make_service(url=redis_process.url)
    async with service.here():
        # Not so little that newcomers are refused: only what is written.
        await service.bus.command("ACL", "SETUSER", "default", "-xadd")
        async with service.connect(query, plain=True) as older:
            await older.send(second)
            async with service.connect(query, plain=True) as newer:
                await newer.send(second)
                await failures(service, 12)  # both have asked again and again
                await service.bus.command("ACL", "SETUSER", "default", "+xadd")
                await newer.hear("ready")
                await newer.send(second)
                await newer.acked(len(second))
                await newer.say(type="close")
                assert await newer.closed() == 1000
            assert await older.closed() in (1013, 4409)


async def failures(service, more: int) -> None:
    async def count() -> float:
        return (await service.metrics())['tapedeck_redis_failures_total{reason="refused"}']

    before = await count()
    async with asyncio.timeout(60):
        while await count() < before + more:
            await asyncio.sleep(0.05)
