"""Redis full, paused, killed: what clients see of it, and that everything acked is there afterwards. Over real sockets."""

import asyncio
import json
import signal

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from audiobus import Conversation
from audiobus.refusals import Refusals

BIG = bytes([0x80]) + bytes(1_274)
"""A packet of Opus of 2.5 ms that is as large as one may be."""


async def stored_packets(service, cid: str, uid: str = "alice") -> list[bytes]:
    return [packet for span in await service.spans(cid, uid) for packet in span.packets]


async def test_a_full_redis_is_waited_for_and_takes_no_newcomers(make_service, redis_process, packets):
    service = make_service(url=redis_process.url)
    async with service.here(), service.connect("codec=opus&conversation_id=a") as client:
        await client.hear("ready")
        for packet in packets[:100]:
            await client.send(packet)
        await client.acked(1)
        await service.bus.command("CONFIG", "SET", "maxmemory", "1")
        for packet in packets[100:300]:
            await client.send(packet)
        assert (await client.hear("status"))["state"] == "buffering"

        with pytest.raises(InvalidStatus) as refused:
            async with service.connect("codec=opus"):
                pass
        answer = refused.value.response
        assert (answer.status_code, json.loads(answer.body)["code"]) == (503, "unavailable")
        assert int(answer.headers["retry-after"]) >= 15
        metrics = await service.metrics()
        assert metrics['tapedeck_refused_total{reason="redis_full"}'] == 1
        assert metrics['tapedeck_redis_failures_total{reason="full"}'] > 0
        assert metrics['tapedeck_redis_failures_total{reason="away"}'] == 0
        await readyz(service, "[!]redis memory")
        assert (await service.metrics())["tapedeck_redis_memory_ratio"] > 1

        await service.bus.command("CONFIG", "SET", "maxmemory", "0")
        await client.hear("status", state="ok")
        await client.say(type="close")
        assert await client.closed() == 1000
        assert await stored_packets(service, "a") == packets[:300]
        await readyz(service, "[+]redis memory")
        async with service.connect("codec=opus") as newcomer:
            await newcomer.hear("ready")


async def test_a_right_that_is_taken_away_is_waited_for(
    make_service, redis_process, packets, caplog, monkeypatch
):
    monkeypatch.setattr("audiobus.connection._refusals", Refusals())  # nothing was said before
    service = make_service(url=redis_process.url)
    async with service.here(), service.connect("codec=opus&conversation_id=a") as client:
        await client.hear("ready")
        for packet in packets[:100]:
            await client.send(packet)
        await client.acked(1)
        await service.bus.command("ACL", "SETUSER", "default", "-xadd")
        for packet in packets[100:300]:
            await client.send(packet)
        assert (await client.hear("status"))["state"] == "buffering"
        metrics = await service.metrics()
        assert metrics['tapedeck_redis_failures_total{reason="refused"}'] > 0
        assert metrics['tapedeck_redis_failures_total{reason="away"}'] == 0

        await service.bus.command("ACL", "SETUSER", "default", "+xadd")
        await client.hear("status", state="ok")
        await client.say(type="close")
        assert await client.closed() == 1000
        assert not client.codes
        assert await stored_packets(service, "a") == packets[:300]
    assert "Redis refuses this process" in caplog.text


@pytest.mark.parametrize("new", ["redis", "listen"])
async def test_a_password_that_is_changed_sends_clients_away_until_both_have_it(
    make_service, redis_process, packets, monkeypatch, new
):
    monkeypatch.setattr("listen.patience.WITHOUT_PROGRESS_MS", 1_000)
    first, second = (redis_process.url.replace("//", f"//:{password}@") for password in ("first", "second"))
    service = make_service(url=redis_process.url if new == "redis" else first)
    async with make_service(url=redis_process.url).bus as admin:
        if new == "listen":
            await admin.command("CONFIG", "SET", "requirepass", "first")
        async with service.here(), service.connect("codec=opus&conversation_id=a") as client:
            ready = await client.hear("ready")
            for packet in packets[:100]:
                await client.send(packet)
            acked = (await client.acked(1))["offset"]
            await admin.command("CONFIG", "SET", "requirepass", "second")
            await admin.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            for packet in packets[100:300]:
                await client.send(packet)
            assert (await client.hear("status"))["state"] == "buffering"
            assert await client.closed() == 1013
            assert client.codes == ["unavailable"]
            assert (await service.metrics())['tapedeck_redis_failures_total{reason="refused"}'] > 0
            with pytest.raises(InvalidStatus) as refused:
                async with service.connect("codec=opus"):
                    pass
            assert refused.value.response.status_code == 503
            acked = max([acked, *(text["offset"] for text in client.texts if text["type"] == "ack")])

    again = make_service(url=second, TAPEDECK_REDIS_PREFIX=service.prefix)
    again.bus.keys = service.bus.keys
    query = f"codec=opus&conversation_id=a&session={ready['session']}"
    async with again.here(), again.connect(query) as client:
        offset = (await client.hear("ready"))["resume_offset"]
        assert offset >= acked
        await client.say(type="close")
        assert await client.closed() == 1000
        assert sum(map(len, await stored_packets(again, "a"))) == offset


async def readyz(service, line: str) -> None:
    """Waits until the page has the line; it is ready all the time."""
    async with asyncio.timeout(60), httpx.AsyncClient() as http:
        while True:
            page = await http.get(f"{service.admin}/readyz?verbose")
            assert page.status_code == 200
            if line in page.text:
                return
            await asyncio.sleep(0.05)


async def test_a_paused_redis_costs_nothing(make_service, redis_process, packets):
    service = make_service(url=redis_process.url)
    async with service.here(), service.connect("codec=opus&conversation_id=a") as client:
        await client.hear("ready")
        for packet in packets[:75]:
            await client.send(packet)
        await client.acked(1)
        assert redis_process.process is not None
        redis_process.process.send_signal(signal.SIGSTOP)
        try:
            for packet in packets[75:400]:
                await client.send(packet)
            assert (await client.hear("status"))["state"] == "buffering"
        finally:
            redis_process.process.send_signal(signal.SIGCONT)
        await client.hear("status", state="ok")
        await client.say(type="close")
        assert await client.closed() == 1000
        assert await stored_packets(service, "a") == packets[:400]
        state = await service.bus.state(Conversation("alice", "a"))
        assert state.received_samples == 400 * 960 - 312


async def test_a_flood_while_redis_is_paused_stays_within_the_budget_and_is_all_taken_later(
    make_service, redis_process, sign
):
    service = make_service(url=redis_process.url, TAPEDECK_MAX_WAITING_MIB="16")
    count = 1_200  # 1.5 MiB a socket, 18 MiB in all

    async def flood(number: int) -> None:
        async with service.connect(
            f"codec=opus&conversation_id=c{number}&pre_skip=120", bearer=sign(f"u{number}")
        ) as client:
            await client.hear("ready")
            opened.release()
            await stopped.wait()
            sending = asyncio.create_task(send_all(client))
            await client.hear("status", state="buffering")
            buffering.release()
            await client.acked(count * len(BIG))
            await sending
            await client.say(type="close")
            assert await client.closed() == 1000

    async def send_all(client) -> None:
        for _ in range(count):
            await client.send(BIG)

    opened, buffering, stopped = asyncio.Semaphore(0), asyncio.Semaphore(0), asyncio.Event()
    async with service.here():
        async with asyncio.TaskGroup() as tasks:
            for number in range(12):
                tasks.create_task(flood(number))
            for _ in range(12):
                await opened.acquire()
            assert redis_process.process is not None
            redis_process.process.send_signal(signal.SIGSTOP)
            try:
                stopped.set()
                for _ in range(12):
                    await buffering.acquire()
                metrics = await service.metrics()
                assert 4 * 2**20 < metrics["tapedeck_waiting_bytes"] < metrics["tapedeck_waiting_limit_bytes"]
                assert metrics['tapedeck_backpressure_total{action="paused"}'] >= 12
            finally:
                redis_process.process.send_signal(signal.SIGCONT)
        for number in range(12):
            assert len(await stored_packets(service, f"c{number}", f"u{number}")) == count
        async with asyncio.timeout(60):
            while (await service.metrics())["tapedeck_waiting_bytes"]:
                await asyncio.sleep(0.02)
