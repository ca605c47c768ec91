"""Who begins sessions without end is stopped, in its handshake and in mid-session; who comes again and again is not."""

import asyncio
import json

import pytest
from websockets.exceptions import InvalidStatus

from listen.errors import RefusedError
from listen.session_rate import SESSIONS_MOST, USERS_LIMIT, WITHIN_S, SessionRate


def test_a_user_begins_so_many_and_so_many_again_and_others_theirs():
    rate = SessionRate()
    for at_s in (100.0, 100.0 + WITHIN_S):
        for _ in range(SESSIONS_MOST):
            rate.check("alice", at_s)
            rate.began("alice", at_s)
        with pytest.raises(RefusedError) as caught:
            rate.check("alice", at_s)
        refused = caught.value
        assert (refused.status, refused.code, refused.reason) == (429, "limit", "sessions_of_user")
        assert refused.retry_after_s
        rate.check("bob", at_s)


def test_a_device_on_a_bad_network_never_meets_it():
    rate = SessionRate()
    for second in range(0, 86_400, 2):
        rate.check("alice", second)
        rate.began("alice", second)


def test_many_users_take_bounded_memory():
    rate = SessionRate()
    for number in range(USERS_LIMIT + 100):
        rate.began(f"u{number}", 100.0)
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
            async with asyncio.timeout(10):
                await service.until_empty()
        async with service.connect("conversation_id=another") as client:
            await client.hear("ready")
        with pytest.raises(InvalidStatus):  # that was the last
            async with service.connect("conversation_id=one-too-many"):
                pass
        async with service.connect(f"codec=opus&conversation_id=kept{resume}") as client:
            assert (await client.hear("ready"))["session"] == session
