"""How all sockets of a process leave."""

import asyncio

import pytest
from websockets.exceptions import InvalidStatus

from listen.errors import RefusedError
from listen.places import Limits
from listen.sockets import Sockets


async def test_who_is_about_to_end_takes_nobody():
    sockets = Sockets(Limits())
    await sockets.leave(1.0)
    with pytest.raises(RefusedError) as refused, sockets.place():
        pass
    assert (refused.value.status, refused.value.code, refused.value.reason) == (
        503,
        "unavailable",
        "draining",
    )
    assert refused.value.retry_after_s is not None


async def test_a_gate_is_asked_before_a_place_is_taken():
    def gate() -> None:
        raise RefusedError(503, "unavailable", "not now", reason="redis_full")

    sockets = Sockets(Limits(), gate)
    with pytest.raises(RefusedError, match="not now"), sockets.place():
        pass
    assert len(sockets) == 0


async def test_everyone_is_told_brought_safe_and_closed(make_service, second):
    async with make_service(TAPEDECK_MAX_SOCKETS_PER_USER="40").here() as service:

        async def one(index: int) -> tuple[int, int]:
            async with service.connect(f"conversation_id=c{index}") as client:
                await client.hear("ready")
                await client.send(second)
                ready.release()
                going = await client.hear("going_away")
                assert 500 <= going["reconnect_after_ms"] <= 5_000
                code = await client.closed()
                return code, client.texts[-1]["offset"]

        ready = asyncio.Semaphore(0)
        async with asyncio.TaskGroup() as tasks:
            clients = [tasks.create_task(one(index)) for index in range(25)]
            for _ in clients:
                await ready.acquire()
            service.stop.set()
            await asyncio.sleep(0)
            with pytest.raises((InvalidStatus, OSError)):
                async with service.connect():
                    pass
        assert [task.result() for task in clients] == [(1012, len(second))] * 25


async def test_a_redis_that_is_away_does_not_hold_up_the_end(make_service, redis_process, second):
    service = make_service(url=redis_process.url)
    async with service.process() as process, service.connect() as client:
        await client.hear("ready")
        redis_process.kill()
        await client.send(second)
        await client.hear("status", state="buffering")
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 8) is not None
    await service.bus.close()
