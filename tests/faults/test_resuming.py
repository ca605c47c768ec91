"""Resuming in all its cases, over real sockets and a real Redis: each acked byte is stored once, in its place."""

import asyncio
import contextlib
import os
import signal
import time
from itertools import pairwise

import httpx
import psutil
import pytest
import websockets

from audiobus.script import script
from tapedeck_testing.account import assert_stored_once, flush, objects, packets_back, pcm_back
from tapedeck_testing.faults.hand import Hand
from tapedeck_testing.faults.verdict import stored_spans
from tapedeck_testing.recordings import in_messages, noisy_pcm, opus_packets

pytestmark = pytest.mark.asyncio(loop_scope="module")
UID = "device-7"
DAY_MS = 24 * 3_600_000
PACKETS = opus_packets(6, seed=30)
BEGAN_MS = int(time.time() * 1000) - 60_000
"""When the first packet was captured; each lasts 20 ms."""


def end(count):
    """The offset after so many packets."""
    return sum(map(len, PACKETS[:count]))


def after(offset):
    """The packets from an offset on."""
    at = 0
    for index, packet in enumerate(PACKETS):
        if at == offset:
            return PACKETS[index:]
        at += len(packet)
    assert at == offset, f"{offset} lies within a packet"
    return []


def hand(rig, cid, *, via=None, **options):
    address = ("127.0.0.1", via.port) if via else rig.address
    return Hand(address, rig.stack.user_token(UID), cid, **options)


def conv(cid):
    return f"td:conv:{{{UID}/{cid}}}"


async def mark(socket, index):
    """The packet that comes next, and when it was captured."""
    await socket.say("mark", at_ms=BEGAN_MS + 20 * index)


async def begin(socket, count):
    """Sends the first packets, and waits until they are acked; the session's name."""
    session = (await socket.ready())["session"]
    await mark(socket, 0)
    await socket.send(*PACKETS[:count])
    await socket.say("finalize")  # closes the chunk
    await socket.acked(end(count))
    return session


async def finish(socket, offset):
    """Sends everything from `offset` on, and closes. The mark is for fresh sessions: in others it lies on the clock."""
    packets = after(offset)
    await mark(socket, len(PACKETS) - len(packets))
    await socket.send(*packets)
    await socket.say("close")
    assert await socket.closed() == 1000


async def settle(rig, cid):
    async with asyncio.timeout(60), rig.stack.http() as http:
        while True:
            with contextlib.suppress(httpx.TransportError, AssertionError):
                await flush(http, UID, cid)
                return
            await asyncio.sleep(0.2)


async def stored(rig, cid):
    """The packets of a conversation as they are stored, each byte of each session once."""
    await settle(rig, cid)
    assert_stored_once(rig.stack.store, UID, cid)
    assert objects(rig.stack.store, UID, cid)
    async with rig.stack.http() as http:
        return await packets_back(http, UID, cid)


async def test_the_old_socket_is_half_open(rig, line):
    async with hand(rig, "half-open", via=line) as old:
        session = await begin(old, 50)
        assert line.spoil("deaf", old.port) == 1
        await old.send(*PACKETS[50:90])  # nobody hears it, and nobody says so
        async with hand(rig, "half-open", session=session) as new:
            ready = await new.ready()
            assert (ready["session"], ready["resume_offset"]) == (session, end(50))
            await finish(new, end(50))
    assert await stored(rig, "half-open") == PACKETS


async def test_two_sockets_of_one_session_at_once(rig):
    async with hand(rig, "twins") as old:
        session = await begin(old, 50)
        async with hand(rig, "twins", session=session) as new:
            offset = (await new.ready())["resume_offset"]
            for one, two in zip(PACKETS[50:150], PACKETS[50:150], strict=True):
                if old.code is None:
                    with contextlib.suppress(Exception):  # it may be closed at any moment: that is the story
                        await old.send(one)
                await new.send(two)
            assert await old.closed() == 4409
            assert old.errors == ["replaced"]
            assert old.offset == end(50)
            await new.send(*PACKETS[150:])
            await new.say("close")
            assert await new.closed() == 1000
        assert offset == end(50)
    assert await stored(rig, "twins") == PACKETS


async def test_a_newer_session_takes_over_and_a_late_resumer_hears_where_the_old_one_ended(rig):
    async with hand(rig, "taken") as old:
        session = await begin(old, 50)
        async with hand(rig, "taken") as new:
            fresh = (await new.ready())["session"]
            assert int(fresh) > int(session)
            await mark(new, 100)
            await new.send(*PACKETS[100:150])
            await old.send(*PACKETS[50:100])
            assert await old.closed() == 4409
            await new.say("close")
            assert await new.closed() == 1000
    async with hand(rig, "taken", session=session) as late:
        ready = await late.ready()
        assert ready["session"] not in (session, fresh)
        assert (ready["resume_offset"], ready["previous_offset"]) == (0, end(50))
        await finish(late, end(150))
    assert await stored(rig, "taken") == [*PACKETS[:50], *PACKETS[100:150], *PACKETS[150:]]


async def test_a_session_that_has_been_over_for_a_day(rig):
    async with hand(rig, "old") as socket:
        session = await begin(socket, 50)
    async with rig.client() as client:
        last_ms = int(await client.hget(conv("old"), "last_ms"))
        await client.hset(conv("old"), "last_ms", last_ms - DAY_MS - 60_000)
    async with hand(rig, "old", session=session) as socket:
        ready = await socket.ready()
        assert ready["session"] != session
        assert (ready["resume_offset"], ready["previous_offset"]) == (0, end(50))
        await finish(socket, end(50))
    assert await stored(rig, "old") == PACKETS


async def test_a_session_of_which_nothing_is_known_any_more(rig):
    async with hand(rig, "unknown", session="1700000000000") as socket:
        ready = await socket.ready()
        assert ready["session"] != "1700000000000"
        assert ready["resume_offset"] == 0
        assert "previous_offset" not in ready


async def test_after_close(rig):
    async with hand(rig, "closed") as socket:
        session = await begin(socket, 50)
        await socket.say("close")
        assert await socket.closed() == 1000
    async with hand(rig, "closed", session=session) as socket:
        ready = await socket.ready()
        assert ready["session"] != session
        assert ready["previous_offset"] == end(50)
        await finish(socket, end(50))
    assert await stored(rig, "closed") == PACKETS


async def test_the_conversation_was_deleted_meanwhile(rig):
    async with hand(rig, "deleted") as socket:
        session = await begin(socket, 50)
        async with rig.client() as client:
            await client.set(f"td:tomb:{{{UID}/deleted}}", "1")
        await socket.send(*PACKETS[50:100])
        assert await socket.closed() == 4404  # who still records hears it too
        assert socket.errors == ["conversation_deleted"]
    async with hand(rig, "deleted", session=session) as socket:
        assert await socket.closed() == 4404
        assert socket.errors == ["conversation_deleted"]


async def test_the_conversation_is_being_merged(rig):
    async with hand(rig, "merging") as socket:
        session = await begin(socket, 50)
        async with rig.client() as client:  # frozen: nobody owns it, and it says where it goes
            await client.hset(conv("merging"), "merging", "the-target")
            await client.hdel(conv("merging"), "owner")
        await socket.send(*PACKETS[50:100])
        assert await socket.closed() == 4409
        assert socket.errors == ["merging"]
    async with hand(rig, "merging", session=session) as socket:
        assert await socket.closed() == 4409
        assert socket.errors == ["merging"]
        assert "the-target" in socket.messages[0]["message"]


@pytest.mark.parametrize("name", ["open", "append", "ask"])
async def test_a_reply_of_redis_is_lost(rig, name):
    eaten = rig.relay.eaten
    rig.relay.eat_after = script(name).digest.encode()
    async with hand(rig, f"lost-{name}") as socket:
        await begin(socket, 100)
        await finish(socket, end(100))
    assert rig.relay.eaten == eaten + 1
    assert await stored(rig, f"lost-{name}") == PACKETS


@pytest.mark.parametrize(
    "other",
    [{"codec": "pcm16"}, {"sample_rate": 24_000}, {"channels": 2}],
    ids=lambda other: next(iter(other)),
)
async def test_another_codec_rate_or_number_of_channels(rig, other):
    cid = f"other-{next(iter(other))}"
    async with hand(rig, cid) as socket:
        session = await begin(socket, 50)
    async with hand(rig, cid, session=session, **other) as socket:
        assert await socket.closed() == 4400
        assert socket.errors == ["bad_parameter"]
    async with hand(rig, cid, session=session) as socket:  # which did the session no harm
        assert (await socket.ready())["resume_offset"] == end(50)
        await finish(socket, end(50))
    assert await stored(rig, cid) == PACKETS


async def test_a_client_that_goes_on_below_resume_offset_records_that_part_again(rig):
    """Offsets count what is sent: the server cannot know, and what was stored before stays as it was."""
    async with hand(rig, "below") as socket:
        session = await begin(socket, 100)
    async with hand(rig, "below", session=session) as socket:
        assert (await socket.ready())["resume_offset"] == end(100)
        await socket.send(*PACKETS[50:])
        await socket.say("close")
        assert await socket.closed() == 1000
        assert socket.offset == end(100) + end(300) - end(50)
    assert await stored(rig, "below") == [*PACKETS[:100], *PACKETS[50:]]


async def test_a_plain_device_that_reconnects_at_once(rig):
    """It may lose what nobody acked; what was acked stays, once and in order."""
    acked = []
    for first in range(0, 300, 60):
        async with hand(rig, "plain", plain=True) as socket:
            await socket.ready()
            await socket.send(*PACKETS[first : first + 60])
            await socket.acked(end(first + 40) - end(first))
            acked.append(socket.offset)
            socket.reset()
    await settle(rig, "plain")
    assert_stored_once(rig.stack.store, UID, "plain")
    spans = stored_spans(rig.stack.store, UID, "plain")
    epochs = sorted({span.epoch for span in spans})
    assert len(epochs) == len(acked)
    for number, (epoch, offset) in enumerate(zip(epochs, acked, strict=True)):
        packets = [packet for span in spans if span.epoch == epoch for packet in span.packets]
        assert packets == PACKETS[60 * number :][: len(packets)]
        assert sum(map(len, packets)) >= offset


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


async def test_a_handshake_that_lay_in_a_stopped_process_displaces_nobody_who_came_later(rig):
    async with hand(rig, "lain") as socket:
        session = await begin(socket, 50)
    [pid] = rig.stack.pids("listen")
    late = hand(rig, "lain", session=session)
    os.kill(pid, signal.SIGSTOP)
    try:
        coming = asyncio.create_task(late.__aenter__())
        async with asyncio.timeout(10):
            while not any(
                one.raddr and one.raddr.port == rig.address[1] for one in psutil.Process().net_connections()
            ):
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)  # the fault itself: it lies there
        async with rig.client() as client:  # its client has long gone to another process
            await client.hset(
                conv("lain"), mapping={"owner": "another", "owner_at": int(time.time() * 1000) - 50}
            )
    finally:
        os.kill(pid, signal.SIGCONT)
    await coming
    assert await late.closed() == 1012
    assert late.errors == ["unavailable"]
    await late.__aexit__(None, None, None)
    async with rig.client() as client:
        assert await client.hget(conv("lain"), "owner") == b"another"


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


async def test_what_is_lost_beyond_that_is_counted_and_the_rest_keeps_its_place(rig):
    before = await rig.lost_seconds()
    pcm = noisy_pcm(30, seed=31)
    async with hand(rig, "beyond", codec="pcm16") as socket:
        await socket.ready()
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
        await socket.say("close")
        assert await socket.closed() == 1000
    lost = await rig.lost_seconds() - before
    assert lost > 5
    await settle(rig, "beyond")
    spans = stored_spans(rig.stack.store, UID, "beyond")
    assert sum(span.first_offset != before.end_offset for before, span in pairwise(spans)) == 1
    for span in spans:  # PCM says by its offset when it was captured
        assert span.start_ms - spans[0].start_ms == pytest.approx(span.first_offset / 32, abs=30)
    async with rig.stack.http() as http:
        back = await pcm_back(http, UID, "beyond")
    assert len(back) / 32_000 + lost == pytest.approx(
        30, abs=0.3
    )  # counted about, by the average of the bytes


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
