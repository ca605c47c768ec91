"""How all sockets of a process leave."""

import asyncio
import json
import socket
from contextlib import AsyncExitStack

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
            newcomer = socket.create_connection(("127.0.0.1", service.port))
            service.stop.set()
            with pytest.raises(InvalidStatus) as refused:
                async with service.connect(sock=newcomer):
                    pass
            assert refused.value.response.status_code == 503
            assert 1 <= int(refused.value.response.headers["retry-after"]) <= 3
            metrics = await service.metrics()
            assert metrics['tapedeck_refused_total{reason="draining"}'] == 1
        assert [task.result() for task in clients] == [(1012, 0), (1012, len(second))] * 12
        # A client hears of its close a little later than it is sent: two neighbours may change places.
        assert sum(left[:12]) <= 1


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
        assert await asyncio.wait_for(process.wait(), 60) is not None
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
        assert await asyncio.wait_for(process.wait(), 60) == 0
    (span,) = join(await service.spans("a"))
    assert span.end_offset == len(second)
    await service.bus.close()


async def test_who_neither_reads_nor_answers_does_not_hold_up_the_end(make_service, sign):
    service = make_service(TAPEDECK_DRAIN_SECONDS="250")
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
        assert await asyncio.wait_for(process.wait(), 60) == 0
        for _, writer in lines:
            writer.close()
    await service.bus.close()


async def refused(service, **options) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as caught:
        async with service.connect(**options):
            pass
    answer = caught.value.response
    assert 3 <= int(answer.headers["retry-after"]) <= 10
    return answer.status_code, json.loads(answer.body)["code"]


async def test_an_address_has_only_so_many_sockets(make_service, sign):
    service = make_service(
        TAPEDECK_MAX_SOCKETS_PER_ADDRESS="2",
        TAPEDECK_TRUSTED_PROXIES="127.0.0.1",
        TAPEDECK_ALLOWED_ORIGINS="https://a",
    )

    def from_(address: str, **headers: str) -> dict:
        return {"headers": {"X-Forwarded-For": address, **headers}, "bearer": sign(address.replace(":", "."))}

    async with service.here(), AsyncExitStack() as open_ones:
        for address in ("2001:db8::1", "2001:db8::2", "192.0.2.1"):
            client = await open_ones.enter_async_context(service.connect(**from_(address)))
            await client.hear("ready")
        assert await refused(service, **from_("2001:db8::3")) == (429, "limit")
        async with service.connect(**from_("2001:db8::3", Origin="https://a")) as browser:
            assert await browser.closed() == 4429
            assert 3_000 <= browser.texts[0]["retry_after_ms"] <= 10_000
        metrics = await service.metrics()
        assert metrics['tapedeck_refused_total{reason="sockets_of_address"}'] == 2
        async with service.connect(**from_("192.0.2.1")) as neighbour:
            await neighbour.hear("ready")


async def test_only_so_many_are_in_their_handshake(make_service, redis_process, sign):
    async with make_service(url=redis_process.url, TAPEDECK_MAX_HANDSHAKES="2").here() as service:

        async def comes(uid: str) -> None:
            async with service.connect(bearer=sign(uid)) as client:
                await client.hear("ready")

        await service.bus.command("CLIENT", "PAUSE", "1500", "ALL")
        coming = [asyncio.create_task(comes(uid)) for uid in ("bob", "carol")]
        async with asyncio.timeout(60):
            while (await service.metrics())["tapedeck_handshakes"] < 2:
                await asyncio.sleep(0.01)
        assert await refused(service) == (503, "unavailable")
        assert (await service.metrics())['tapedeck_refused_total{reason="handshakes"}'] == 1
        await asyncio.gather(*coming)
        assert (await service.metrics())["tapedeck_handshakes"] == 0
        async with service.connect() as client:
            await client.hear("ready")
