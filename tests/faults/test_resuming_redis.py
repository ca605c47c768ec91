"""Resuming where Redis loses something: replies, what it had confirmed, or itself. What is left is stored once, in its place."""

import asyncio
from itertools import pairwise

import pytest
import websockets

from audiobus.script import script
from tapedeck_testing.account import pcm_back
from tapedeck_testing.faults.story import PACKETS, UID, begin, conv, end, finish, hand, settle, stored
from tapedeck_testing.faults.verdict import stored_spans
from tapedeck_testing.recordings import in_messages, noisy_pcm

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("name", ["open", "append", "ask"])
async def test_a_reply_of_redis_is_lost(rig, name):
    eaten = rig.relay.eaten
    rig.relay.eat_after = script(name).digest.encode()
    async with hand(rig, f"lost-{name}") as socket:
        await begin(socket, 100)
        await finish(socket, end(100))
    assert rig.relay.eaten == eaten + 1
    assert await stored(rig, f"lost-{name}") == PACKETS


async def test_redis_comes_back_with_less_and_the_process_writes_it_again(rig):
    before = await rig.lost_seconds()
    async with hand(rig, "less") as socket:
        await begin(socket, 250)  # five seconds: the process still has all of them
        rig.redis.kill()
        rig.forget(8_000)
        await asyncio.to_thread(rig.redis.start)
        async with rig.client() as client:
            newest = (await client.hget(conv("less"), "newest")).decode()
        assert int(newest.split("-")[1]) < end(250)  # it has lost what it had confirmed
        await finish(socket, end(250))
    assert await stored(rig, "less") == PACKETS
    assert await rig.lost_seconds() == before


async def test_redis_has_lost_that_this_socket_came(rig):
    """Its owner is then who was there before: nobody newer, for whom this one would have to stop."""
    cid = "forgotten"
    async with hand(rig, cid) as old:
        session = await begin(old, 50)
        old.reset()
    size = rig.log_size()
    async with hand(rig, cid, session=session) as socket:
        assert (await socket.ready())["resume_offset"] == end(50)
        await socket.send(*PACKETS[50:200])
        await socket.say("finalize")
        await socket.acked(end(200))
        rig.redis.kill()
        rig.forget(rig.log_size() - size)
        await asyncio.to_thread(rig.redis.start)
        await finish(socket, end(200))
        assert socket.errors == []
    assert await stored(rig, cid) == PACKETS


async def test_redis_has_lost_that_the_session_began(rig):
    """It begins again under its name, and the process writes all of it again: the client notices nothing."""
    before, size = await rig.lost_seconds(), rig.log_size()
    async with hand(rig, "unheard") as socket:
        await begin(socket, 100)
        rig.redis.kill()
        rig.forget(rig.log_size() - size)
        await asyncio.to_thread(rig.redis.start)
        await finish(socket, end(100))
        assert socket.errors == []
    assert await stored(rig, "unheard") == PACKETS
    assert await rig.lost_seconds() == before


async def test_what_is_lost_beyond_that_is_told_and_sent_again(rig):
    """The process keeps the last seconds only; a client that wants to survive the loss of Redis keeps what is not stored."""
    before = await rig.lost_seconds()
    pcm = noisy_pcm(30, seed=31)
    async with hand(rig, "beyond", codec="pcm16") as socket:
        session = (await socket.ready())["session"]
        await socket.send(*in_messages(pcm[:64_000], 3_200))
        await socket.say("finalize")
        await socket.acked(64_000)
        size = rig.log_size()
        await socket.send(*in_messages(pcm[64_000:-32_000], 3_200))
        await socket.say("finalize")
        await socket.acked(len(pcm) - 32_000)
        rig.redis.kill()
        rig.forget(rig.log_size() - size)
        await asyncio.to_thread(rig.redis.start)
        await socket.send(*in_messages(pcm[-32_000:], 3_200))
        assert await socket.closed() == 1013
        assert socket.errors == ["unavailable"]
    assert await rig.lost_seconds() - before == pytest.approx((len(pcm) - 96_000) / 32_000, abs=1.5)
    async with hand(rig, "beyond", codec="pcm16", session=session) as socket:
        stands = (await socket.ready())["resume_offset"]
        assert stands <= 64_000
        await socket.send(*in_messages(pcm[stands:], 3_200))
        await socket.say("close")
        assert await socket.closed() == 1000
    await settle(rig, "beyond")
    spans = stored_spans(rig.stack.store, UID, "beyond")
    assert all(before.end_offset == span.first_offset for before, span in pairwise(spans))
    async with rig.stack.http() as http:
        back = await pcm_back(http, UID, "beyond")
    assert len(back) == pytest.approx(len(pcm), abs=2_000)


async def test_redis_is_away_when_the_client_comes_back(rig):
    async with hand(rig, "away") as socket:
        session = await begin(socket, 50)
        socket.reset()
    rig.redis.kill()
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with hand(rig, "away", session=session):
            pass
    assert refused.value.response.status_code == 503
    assert int(refused.value.response.headers["Retry-After"]) > 0
    await asyncio.to_thread(rig.redis.start)
    async with rig.client() as client:
        assert await client.config_get("appendfsync") == {"appendfsync": "always"}
    async with hand(rig, "away", session=session) as socket:
        assert (await socket.ready())["resume_offset"] == end(50)
        await finish(socket, end(50))
    assert await stored(rig, "away") == PACKETS
