"""How all sockets of a process leave."""

import asyncio

import pytest
from websockets.exceptions import InvalidStatus

from audiocodec.span import join
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


async def test_who_was_in_its_handshake_by_then_is_not_taken_either():
    sockets = Sockets(Limits())
    with sockets.place():
        leaving = asyncio.create_task(sockets.leave(2.0))
        await asyncio.sleep(0)
        with pytest.raises(RefusedError) as refused, sockets.place_of("alice"):
            pass
        assert refused.value.reason == "draining"
    await leaving


async def test_a_gate_is_asked_before_a_place_is_taken():
    def gate() -> None:
        raise RefusedError(503, "unavailable", "not now", reason="redis_full")

    sockets = Sockets(Limits(), gate)
    with pytest.raises(RefusedError, match="not now"), sockets.place():
        pass
    assert len(sockets) == 0


async def test_everyone_is_told_brought_safe_and_closed_idle_ones_first(make_service, second):
    async with make_service(TAPEDECK_MAX_SOCKETS_PER_USER="40").here() as service:

        async def one(index: int) -> tuple[int, int]:
            async with service.connect(f"conversation_id=c{index}") as client:
                await client.hear("ready")
                streams = index % 2 == 1
                if streams:
                    await client.send(second)
                ready.release()
                going = await client.hear("going_away")
                assert 500 <= going["reconnect_after_ms"] <= 5_000
                code = await client.closed()
                left.append(streams)
                return code, client.texts[-1]["offset"]

        ready, left = asyncio.Semaphore(0), list[bool]()
        async with asyncio.TaskGroup() as tasks:
            clients = [tasks.create_task(one(index)) for index in range(24)]
            for _ in clients:
                await ready.acquire()
            service.stop.set()
            await asyncio.sleep(0)
            with pytest.raises(InvalidStatus) as refused:
                async with service.connect():
                    pass
            assert refused.value.response.status_code == 503
            assert 1 <= int(refused.value.response.headers["retry-after"]) <= 3
            metrics = await service.metrics()
            assert metrics['tapedeck_refused_total{reason="draining"}'] == 1
        assert [task.result() for task in clients] == [(1012, 0), (1012, len(second))] * 12
        assert left == [False] * 12 + [True] * 12


async def test_a_redis_that_is_away_does_not_hold_up_the_end(make_service, redis_process, second):
    service = make_service(url=redis_process.url)
    async with service.process() as process, service.connect() as client:
        await client.hear("ready")
        redis_process.kill()
        await client.send(second)
        await client.hear("status", state="buffering")
        process.terminate()
        assert await client.closed() == 1012
        assert client.codes == ["unavailable"], "it is told that not everything is safe"
        assert await asyncio.wait_for(process.wait(), 8) is not None
    await service.bus.close()


async def test_a_redis_that_comes_back_while_all_leave_gets_what_waits(make_service, redis_process, second):
    service = make_service(url=redis_process.url, TAPEDECK_DRAIN_SECONDS="20")
    async with service.process() as process, service.connect("conversation_id=a") as client:
        await client.hear("ready")
        redis_process.kill()
        await client.send(second)
        await client.hear("status", state="buffering")
        process.terminate()
        await client.hear("going_away")
        redis_process.start()
        assert await client.closed() == 1012
        assert client.texts[-1]["offset"] == len(second)
        assert await asyncio.wait_for(process.wait(), 8) == 0
    (span,) = join(await service.spans("a"))
    assert span.end_offset == len(second)
    await service.bus.close()


async def test_who_neither_reads_nor_answers_does_not_hold_up_the_end(make_service, sign):
    service = make_service(TAPEDECK_DRAIN_SECONDS="30")
    request = (
        "GET /v4/listen HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        f"Authorization: Bearer {sign()}\r\n\r\n"
    )
    async with service.process() as process:
        lines = [await asyncio.open_connection("127.0.0.1", service.port) for _ in range(5)]
        for reader, writer in lines:
            writer.write(request.encode())
            await reader.readuntil(b"ready")
        silent = await asyncio.open_connection("127.0.0.1", service.port)
        silent[1].write(
            request.replace("/v4/listen", "/v4/web/listen").replace("Authorization", "X").encode()
        )
        await silent[0].readuntil(b"101")
        lines.append(silent)
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 10) == 0
        for _, writer in lines:
            writer.close()
    await service.bus.close()
