"""Who begins sessions without end is stopped, in its handshake and in mid-session; who comes again and again is not."""

import asyncio
import json
from contextlib import AsyncExitStack

import pytest
from websockets.exceptions import InvalidStatus

from audiobus import Bus
from audiobus.errors import BusUnavailableError
from listen.errors import RefusedError
from listen.session_rate import RESUMES_TIMES, SESSIONS_MOST, USERS_LIMIT, WITHIN_S, SessionRate


def begun(rate: SessionRate, tries: int, at_s: float, uid: str = "alice", resume: int | None = None) -> int:
    """How many of so many tries are let through."""
    number = 0
    for _ in range(tries):
        try:
            rate.take(uid, resume, at_s)
        except RefusedError as refused:
            assert (refused.status, refused.code, refused.reason) == (429, "limit", "sessions_of_user")
            assert refused.retry_after_s
            with pytest.raises(RefusedError):
                rate.check(uid, resume, at_s)
        else:
            number += 1
    return number


def test_a_user_begins_so_many_and_so_many_again_and_others_theirs():
    rate = SessionRate()
    for at_s in (100.0, 100.0 + WITHIN_S):
        assert begun(rate, 2 * SESSIONS_MOST, at_s) == SESSIONS_MOST
        rate.check("bob", None, at_s)


def test_who_names_a_session_that_is_over_begins_so_many_more_and_locks_nobody_else_out():
    rate = SessionRate(5)
    for at_s in (100.0, 100.0 + WITHIN_S):
        assert begun(rate, 100, at_s, resume=1) == 5 * RESUMES_TIMES
        assert begun(rate, 100, at_s) == 5
        assert begun(rate, 100, at_s, uid="bob", resume=1) == 5 * RESUMES_TIMES


def test_what_was_resumed_after_all_does_not_count():
    rate = SessionRate(1)
    for resume in (None, 1):
        for _ in range(100):
            rate.take("alice", resume, 100.0)
            rate.give_back("alice", resume)
    assert begun(rate, 10, 100.0) == 1


def test_a_device_on_a_bad_network_never_meets_it():
    rate = SessionRate()
    for second in range(0, 86_400, 2):
        rate.take("alice", None, second)


def test_many_users_take_bounded_memory():
    rate = SessionRate()
    for number in range(USERS_LIMIT + 100):
        rate.take(f"u{number}", None, 100.0)
    assert len(rate) == USERS_LIMIT


async def test_conversations_without_end_are_ended_and_what_was_sent_is_safe(make_service, packets, sign):
    async with make_service(TAPEDECK_MAX_SESSIONS_PER_USER="5").here() as service:
        async with service.connect("codec=opus&conversation_id=c0") as client:
            await client.hear("ready")
            for number in range(1, 5):
                for packet in packets[:10]:
                    await client.send(packet)
                await client.say(type="conversation", conversation_id=f"c{number}")
                await client.hear("ready", conversation_id=f"c{number}")
            await client.say(type="conversation", conversation_id="one-too-many")
            assert await client.closed() == 4429
            (error,) = [text for text in client.texts if text["type"] == "error"]
            assert (error["code"], error["retry_after_ms"] >= 3_000) == ("limit", True)
            assert [len((await service.spans(f"c{number}"))[0].packets) for number in range(4)] == [10] * 4
            assert await service.spans("one-too-many") == []
        with pytest.raises(InvalidStatus) as caught:
            async with service.connect():
                pass
        answer = caught.value.response
        assert (answer.status_code, json.loads(answer.body)["code"]) == (429, "limit")
        assert int(answer.headers["retry-after"]) >= 3
        assert (await service.metrics())['tapedeck_refused_total{reason="sessions_of_user"}'] == 2
        async with service.connect(bearer=sign("bob")) as other:
            await other.hear("ready")


async def test_sessions_that_are_resumed_do_not_count(make_service, packets):
    async with make_service(TAPEDECK_MAX_SESSIONS_PER_USER="2").here() as service:
        resume = ""
        for _ in range(6):
            async with service.connect(f"codec=opus&conversation_id=kept{resume}") as client:
                session = (await client.hear("ready"))["session"]
                await client.send(packets[0])
                resume = f"&session={session}"
                client.socket.transport.abort()
            async with asyncio.timeout(60):
                await service.until_empty()
        async with service.connect("conversation_id=another") as client:
            await client.hear("ready")
        with pytest.raises(InvalidStatus):  # that was the last
            async with service.connect("conversation_id=one-too-many"):
                pass
        async with service.connect(f"codec=opus&conversation_id=kept{resume}") as client:
            assert (await client.hear("ready"))["session"] == session


async def test_a_session_that_nobody_had_is_no_way_around_the_limit(make_service):
    async with make_service(TAPEDECK_MAX_SESSIONS_PER_USER="2").here() as service:

        async def outcome(query: str) -> int:
            try:
                async with service.connect(query) as client:
                    await client.hear("ready")
            except InvalidStatus as refused:
                return refused.response.status_code
            return 101

        many = [await outcome(f"conversation_id=y{number}&session=1") for number in range(20)]
        assert many == [101] * 2 * RESUMES_TIMES + [429] * (20 - 2 * RESUMES_TIMES)
        # Who begins afresh does not pay for it.
        assert [await outcome(f"conversation_id=z{number}") for number in range(3)] == [101, 101, 429]


async def test_many_at_the_same_moment_are_no_way_around_the_limit(make_service, monkeypatch):
    """Sockets that have asked Redis for a session, and have no answer yet, count."""
    asked, go = 0, asyncio.Event()
    open_session = Bus.open

    async def slowly(*args, **named):
        nonlocal asked
        asked += 1
        await go.wait()
        return await open_session(*args, **named)

    monkeypatch.setattr(Bus, "open", slowly)
    async with make_service(TAPEDECK_MAX_SESSIONS_PER_USER="3").here() as service, AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(service.connect(f"conversation_id=c{number}"))
            for number in range(3)
        ]
        async with asyncio.timeout(60):
            while asked < 3:
                await asyncio.sleep(0.01)
        with pytest.raises(InvalidStatus):
            await stack.enter_async_context(service.connect("conversation_id=one-too-many"))
        go.set()
        for client in clients:
            await client.hear("ready")
        assert asked == 3


async def test_a_redis_that_comes_back_empty_lets_all_its_sessions_go_on(
    make_service, redis_process, packets
):
    environ = {"url": redis_process.url, "TAPEDECK_MAX_SESSIONS_PER_USER": "2"}
    async with make_service(**environ).here() as service:
        async with (
            service.connect("codec=opus&conversation_id=a") as first,
            service.connect("codec=opus&conversation_id=b") as second,
        ):
            for client in (first, second):
                await client.hear("ready")
            await service.bus.command("FLUSHALL")
            for client in (first, second):
                for packet in packets[:100]:
                    await client.send(packet)
                await client.say(type="close")
                assert await client.closed() == 1000
        # These have nobody left who knows their session: they name it, and get a fresh one.
        for name in "abcd":
            async with service.connect(f"codec=opus&conversation_id={name}&session=5") as client:
                await client.hear("ready")


async def test_what_redis_did_not_answer_is_not_counted(make_service, monkeypatch):
    open_session, failures = Bus.open, iter(range(3))

    async def now_and_then(*args, **named):
        if next(failures, None) is not None:
            raise BusUnavailableError("away")
        return await open_session(*args, **named)

    monkeypatch.setattr(Bus, "open", now_and_then)
    async with make_service(TAPEDECK_MAX_SESSIONS_PER_USER="1").here() as service:
        async with service.connect() as client:
            await client.hear("ready")
        with pytest.raises(InvalidStatus):
            async with service.connect():
                pass
