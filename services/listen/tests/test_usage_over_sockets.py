"""Usage, limits and settings in mid-session, and a plain device that comes back at once: real sockets, a real Redis."""

import asyncio
import signal
import time

import pytest
from websockets.exceptions import InvalidStatus

from audiobus import Conversation, utc_day
from audiocodec.span import join

QUICK = {"TAPEDECK_USAGE_SECONDS": "0.3"}
SECOND = 32_000


async def used(service, uid: str = "alice") -> dict[str, int]:
    """What stands for today: ms by session. Around midnight the two days together."""
    today, out = utc_day(time.time_ns() // 1_000_000), {}
    for day in (today - 1, today):
        rows = await service.bus.command("HGETALL", service.bus.keys.usage(uid, day))
        pairs = rows.items() if isinstance(rows, dict) else zip(rows[::2], rows[1::2], strict=True)
        for key, value in pairs:
            out[key.decode()] = out.get(key.decode(), 0) + int(value)
    return out


async def until_used(service, expected: dict[str, int], uid: str = "alice") -> None:
    async with asyncio.timeout(60):
        while (standing := await used(service, uid)) != expected:
            assert all(ms <= expected.get(session, 0) for session, ms in standing.items()), standing
            await asyncio.sleep(0.02)


async def set_user(service, uid: str = "alice", **fields: str) -> None:
    for name, value in fields.items():
        await service.bus.command("HSET", service.bus.keys.user(uid), name, value)


async def test_use_is_written_in_mid_session_and_at_the_end(make_service, second):
    async with make_service(**QUICK).here() as service, service.connect("conversation_id=a") as client:
        session = (await client.hear("ready"))["session"]
        await client.send(second)
        await client.send(second)
        async with asyncio.timeout(60):
            while (await used(service)).get(
                f"a/{session}", 0
            ) < 1_900:  # an encoder holds its last 30 ms back
                await asyncio.sleep(0.02)
        await client.send(second)
        await client.say(type="close")
        assert await client.closed() == 1000
        await until_used(service, {f"a/{session}": 3_000})
        assert (
            await service.bus.command(
                "TTL", service.bus.keys.usage("alice", utc_day(time.time_ns() // 10**6))
            )
            > 0
        )
        metrics = await service.metrics()
        assert metrics['tapedeck_user_looks_total{outcome="done"}'] >= 1
        assert metrics['tapedeck_user_looks_total{outcome="failed"}'] == 0
        assert metrics["tapedeck_usage_waiting"] == 0


async def test_two_channels_count_clock_time(make_service, second):
    async with make_service().here() as service:
        async with service.connect("conversation_id=a&channels=2") as client:
            session = (await client.hear("ready"))["session"]
            for channel in (b"\1", b"\2"):
                await client.send(channel + second)
            await client.say(type="close")
            assert await client.closed() == 1000
        await until_used(service, {f"a/{session}": 1_000})


async def test_a_kill_loses_nothing_and_counts_nothing_twice(make_service, second):
    service = make_service()
    async with service.process() as process, service.connect("conversation_id=a") as client:
        session = (await client.hear("ready"))["session"]
        await client.send(second)
        await client.send(second)
        await client.say(type="finalize")
        await client.acked(2 * SECOND)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    assert await used(service) == {}  # the first look had not come
    async with (
        service.process(),
        service.connect(f"conversation_id=a&session={session}") as client,
    ):
        assert (await client.hear("ready"))["resume_offset"] == 2 * SECOND
        await client.send(second)
        await client.say(type="close")
        assert await client.closed() == 1000
        await until_used(service, {f"a/{session}": 3_000})
    await service.bus.close()


async def test_who_comes_after_a_kill_writes_what_the_session_before_used(make_service, second):
    service = make_service()
    async with service.process() as process, service.connect("conversation_id=a") as client:
        first = (await client.hear("ready"))["session"]
        await client.send(second)
        await client.say(type="finalize")
        await client.acked(SECOND)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    async with service.process(), service.connect("conversation_id=a") as client:
        await client.hear("ready")
        await until_used(service, {f"a/{first}": 1_000})
    await service.bus.close()


async def test_the_limit_is_told_and_changes_are_followed(make_service, second):
    async with make_service(**QUICK).here() as service, service.connect("conversation_id=a") as client:
        await client.hear("ready")
        await client.send(second)
        await client.acked(SECOND // 2)
        await set_user(service, daily_limit_ms="1000")
        await client.hear("usage", state="near")  # an encoder holds its last 20 ms back
        await client.send(second)
        await client.hear("usage", state="exceeded")
        await client.send(second)
        await client.acked(2 * SECOND)  # with `warn` all goes on
        await client.say(type="close")
        assert await client.closed() == 1000


async def test_who_is_over_the_limit_is_refused_in_mid_session_and_at_the_door(make_service, sign, second):
    environ = {**QUICK, "TAPEDECK_LIMIT_POLICY": "reject", "TAPEDECK_DAILY_LIMIT_MS": "1500"}
    origin = {"Origin": "https://app.example"}
    async with make_service(**environ, TAPEDECK_ALLOWED_ORIGINS="https://app.example").here() as service:
        async with service.connect("conversation_id=a") as client:
            session = (await client.hear("ready"))["session"]
            await client.send(second)
            await client.send(second[: SECOND * 7 // 10])
            assert await client.closed() == 4429
            error = next(text for text in client.texts if text["type"] == "error")
            assert error["code"] == "limit"
            assert 0 < error["retry_after_ms"] <= 86_460_000
            assert [text["state"] for text in client.texts if text["type"] == "usage"][-1] == "exceeded"
            acks = [text["offset"] for text in client.texts if text["type"] == "ack"]
            assert acks[-1] == SECOND * 17 // 10
        await until_used(service, {f"a/{session}": 1_700})
        with pytest.raises(InvalidStatus) as caught:
            async with service.connect("conversation_id=b"):
                pass
        assert caught.value.response.status_code == 429
        assert int(caught.value.response.headers["Retry-After"]) > 0
        async with service.connect("conversation_id=b", headers=origin) as browser:
            assert await browser.closed() == 4429
            assert browser.codes == ["limit"]
        metrics = await service.metrics()
        assert metrics['tapedeck_refused_total{reason="limit"}'] == 2
        assert metrics['tapedeck_closes_total{code="4429"}'] == 1
        # Others are not touched, and a higher limit lets the user in again: the session goes on.
        async with service.connect("conversation_id=a", bearer=sign("bob")) as other:
            await other.hear("ready")
        await set_user(service, daily_limit_ms="3600000")
        async with service.connect(f"conversation_id=a&session={session}") as client:
            assert (await client.hear("ready"))["resume_offset"] == SECOND * 17 // 10


async def test_storing_switched_off_and_on_is_followed_in_mid_session(make_service, second):
    async with make_service(**QUICK).here() as service:
        async with service.connect("conversation_id=a") as client:
            await client.hear("ready")
            await client.send(second[: SECOND // 2])
            await set_user(service, store_audio="0")
            assert await client.closed() == 4403
            assert client.codes == ["storing_off"]
            assert [text["offset"] for text in client.texts if text["type"] == "ack"][-1] == SECOND // 2
        with pytest.raises(InvalidStatus) as caught:
            async with service.connect("conversation_id=a"):
                pass
        assert caught.value.response.status_code == 403
        await set_user(service, store_audio="1")
        async with service.connect("conversation_id=a") as client:
            await client.hear("ready")


async def test_a_redis_that_is_away_for_the_looks_ends_no_socket(make_service, redis_process, second):
    async with (
        make_service(url=redis_process.url, **QUICK).here() as service,
        service.connect("conversation_id=a") as client,
    ):
        session = (await client.hear("ready"))["session"]
        await client.send(second)
        await client.acked(SECOND // 2)
        redis_process.kill()
        async with asyncio.timeout(60):
            while (await service.metrics())['tapedeck_user_looks_total{outcome="failed"}'] < 2:
                await asyncio.sleep(0.05)
        redis_process.start()
        await client.send(second)
        await client.say(type="close")
        assert await client.closed() == 1000
        await until_used(service, {f"a/{session}": 2_000})


async def test_usage_that_somebody_changed_by_hand_ends_no_socket(make_service, second):
    async with make_service(**QUICK).here() as service, service.connect("conversation_id=a") as client:
        await client.hear("ready")
        today = utc_day(time.time_ns() // 1_000_000)
        for day in (today, today + 1):
            await service.bus.command("SET", service.bus.keys.usage("alice", day), "spoiled")
        async with asyncio.timeout(60):
            while (await service.metrics())['tapedeck_user_looks_total{outcome="unwritten"}'] == 0:
                await client.send(second)
                await asyncio.sleep(0.1)
        await client.say(type="close")
        assert await client.closed() == 1000


async def test_a_plain_device_that_comes_back_at_once_loses_nothing(make_service):
    async with make_service().here() as service:
        level = bytes(range(100, 156)) * 50
        async with service.connect("conversation_id=a", plain=True) as old:
            await old.send(level)  # 0.35 s: no chunk is full, nothing is acked
            await old.send(level)
            await old.socket.ping()
            async with service.connect("conversation_id=a", plain=True) as new:
                await new.hear("ready")
                await new.send(level)
                assert await old.closed() == 4409
                assert old.codes == ["replaced"]
                await new.say(type="close")
                assert await new.closed() == 1000
        state = await service.bus.state(Conversation("alice", "a"))
        assert state.received_samples == 3 * len(level) * 6
        assert len(join(await service.spans("a"))) == 2


async def test_a_plain_device_that_was_cut_off_and_comes_back_loses_nothing(make_service):
    async with make_service().here() as service:
        level = bytes(range(100, 156)) * 50
        for _ in range(4):
            async with service.connect("conversation_id=a", plain=True) as client:
                await client.send(level)
                await asyncio.wait_for(await client.socket.ping(), 60)  # it has been read
                client.socket.transport.abort()
        async with service.connect("conversation_id=a", plain=True) as client:
            await client.hear("ready")
            await client.say(type="close")
            assert await client.closed() == 1000
        state = await service.bus.state(Conversation("alice", "a"))
        assert state.received_samples == 4 * len(level) * 6
