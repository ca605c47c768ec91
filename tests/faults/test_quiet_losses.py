"""Redis comes back with less while a device has nothing more to send: its process notices, and writes again what it still has."""

import asyncio
import contextlib
import signal

import pytest

from tapedeck_testing.faults.story import PACKETS, conv, end, hand, stored

pytestmark = pytest.mark.asyncio(loop_scope="module")
LESS = ["some", "nothing"]
"""What Redis still has of the conversation."""
NOTICES_S = 60
"""A session that has audio in Redis looks after it every 15 s."""


async def newest(rig, cid):
    """What Redis has of the conversation's newest session, in bytes; None where it knows of none."""
    async with rig.client() as client:
        value = await client.hget(conv(cid), "newest")
    return None if value is None else int(value.decode().split("-")[1])


async def written_again(rig, cid, acked):
    async with asyncio.timeout(NOTICES_S):
        while await newest(rig, cid) != acked:
            await asyncio.sleep(0.05)


async def listens_again(rig):
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(*rig.address)
                writer.close()
                return
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def losing(rig, cid, left):
    """A device of whose conversation Redis has lost the end, or everything; how much was acked."""
    size = rig.log_size()  # before the socket is there: its session's opening comes at once
    async with hand(rig, cid) as socket:
        yield socket, await lose(rig, socket, cid, left, size)


async def lose(rig, socket, cid, left, size):
    """All packets are acked, then Redis is restarted from an older log; how much was acked."""
    await socket.ready()
    if left == "some":
        await socket.send(*PACKETS[:100])
        await socket.acked(end(50))
        size = rig.log_size()
        await socket.send(*PACKETS[100:])
    else:
        await socket.send(*PACKETS)
    await socket.acked(end(len(PACKETS)))
    acked = socket.offset
    rig.redis.kill()
    rig.forget(rig.log_size() - size)
    await asyncio.to_thread(rig.redis.start)
    stands = await newest(rig, cid)
    assert stands is None if left == "nothing" else 0 < stands < acked
    return acked


@pytest.mark.parametrize("left", LESS)
async def test_close(rig, left):
    cid, before = f"quiet-close-{left}", await rig.lost_seconds()
    async with losing(rig, cid, left) as (socket, acked):
        await socket.say("close")
        assert await socket.closed() == 1000
        assert await newest(rig, cid) == acked
    assert await stored(rig, cid) == PACKETS
    assert await rig.lost_seconds() == before


@pytest.mark.parametrize("left", LESS)
async def test_another_conversation(rig, left):
    cid = f"quiet-switch-{left}"
    async with losing(rig, cid, left) as (socket, acked):
        await socket.say("conversation", conversation_id=f"{cid}-next")
        await socket.heard(lambda: sum(one["type"] == "ready" for one in socket.messages) == 2)
        assert await newest(rig, cid) == acked
        assert socket.errors == []
    assert await stored(rig, cid) == PACKETS


@pytest.mark.parametrize("left", LESS)
async def test_finalize(rig, left):
    cid = f"quiet-finalize-{left}"
    async with losing(rig, cid, left) as (socket, acked):
        await socket.say("finalize")
        await socket.heard(lambda: any(one["type"] == "finalized" for one in socket.messages))
        assert socket.messages[-1] == {"type": "finalized", "offset": acked, "stored": True}
        assert await newest(rig, cid) == acked
    assert await stored(rig, cid) == PACKETS


@pytest.mark.parametrize("left", LESS)
async def test_a_lost_line(rig, left):
    cid = f"quiet-line-{left}"
    async with losing(rig, cid, left) as (socket, acked):
        socket.reset()
        await written_again(rig, cid, acked)
    assert await stored(rig, cid) == PACKETS


@pytest.mark.parametrize("left", LESS)
async def test_a_shutdown(rig, left):
    cid = f"quiet-shutdown-{left}"
    async with losing(rig, cid, left) as (socket, acked):
        rig.signal_one("listen", signal.SIGTERM)
        assert await socket.closed() == 1012
        assert await newest(rig, cid) == acked
    await listens_again(rig)
    assert await stored(rig, cid) == PACKETS


async def test_a_device_that_stays_and_says_nothing(rig):
    cid = "quiet-idle"
    async with losing(rig, cid, "some") as (socket, acked):
        await written_again(rig, cid, acked)
        assert socket.code is None
    assert await stored(rig, cid) == PACKETS
