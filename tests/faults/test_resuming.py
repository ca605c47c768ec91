"""Resuming in all that clients do, over real sockets and a real Redis: each acked byte is stored once, in its place."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tapedeck_testing.account import assert_stored_once
from tapedeck_testing.faults.story import PACKETS, UID, begin, conv, end, finish, hand, mark, settle, stored
from tapedeck_testing.faults.verdict import stored_spans

pytestmark = pytest.mark.asyncio(loop_scope="module")
DAY_MS = 24 * 3_600_000
ESTABLISHED = "01"


def lies_unread(port):
    """Whether bytes of ours lie in the kernel that nobody has read from a connection to that port (proc_net_tcp: `rx_queue`)."""
    for row in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, queues, *_ = row.split()
        here = state == ESTABLISHED and int(local.rpartition(":")[2], 16) == port
        if here and int(queues.rpartition(":")[2], 16):
            return True
    return False


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
            with contextlib.suppress(Exception):  # it is closed as soon as the new one is ready
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


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how long bytes have lain")
async def test_a_handshake_that_lay_in_a_stopped_process_displaces_nobody_who_came_later(rig):
    async with hand(rig, "lain") as socket:
        session = await begin(socket, 50)
    [pid] = rig.stack.pids("listen")
    late = hand(rig, "lain", session=session)
    os.kill(pid, signal.SIGSTOP)
    try:
        coming = asyncio.create_task(late.__aenter__())
        async with asyncio.timeout(60):
            while not lies_unread(rig.address[1]):
                await asyncio.sleep(0.01)
            came_ms = int(time.time() * 1000) + 50  # its client has long gone to another process
            async with rig.client() as client:
                await client.hset(conv("lain"), mapping={"owner": "another", "owner_at": came_ms})
            while time.time() * 1000 <= came_ms:
                await asyncio.sleep(0.01)
    finally:
        os.kill(pid, signal.SIGCONT)
    await coming
    assert await late.closed() == 1013
    assert late.errors == ["unavailable"]
    await late.__aexit__(None, None, None)
    async with rig.client() as client:
        assert await client.hget(conv("lain"), "owner") == b"another"
