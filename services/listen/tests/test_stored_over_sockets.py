"""`stored` as a client hears it, against the real scripts of whoever drains."""

import time

from audiobus import Conversation, Cut
from audiobus.cut import VERSION

ALICE = Conversation("alice", "a")


async def settle(bus, count: int, *, name: str) -> None:
    """Cuts and finishes the next `count` entries of audio, as a pusher does."""
    now_ms = time.time_ns() // 1_000_000
    entries = (await bus.read(ALICE, count=100))[:count]
    state = await bus.state(ALICE)
    cut = Cut(VERSION, str(entries[0].id), str(entries[-1].id), name, "standard", "flush")
    await bus.cut(ALICE, cut, settled=state.settled)
    last = entries[-1].id
    ends = {last.epoch: last.offset}
    assert await bus.finish(ALICE, cut.encode(), last=last, preroll=None, samples=0, ends=ends, now_ms=now_ms)


async def test_stored_is_what_is_settled_stored_or_deleted_and_stops_at_what_is_dead(make_service, packets):
    async with make_service().here() as service, service.connect("codec=opus&conversation_id=a") as client:
        await client.hear("ready")
        ends = [sum(map(len, packets[: 50 * n])) for n in range(6)]

        async def send(number: int) -> dict:
            for packet in packets[50 * (number - 1) : 50 * number]:
                await client.send(packet)
            return await client.acked(ends[number])

        assert (await send(1))["stored"] == 0
        # With the session's opening entry; an object of that name is in the bucket.
        await settle(service.bus, 2, name="chunks/alice/a/1-2.batch.bin")
        assert (await send(2))["stored"] == ends[1]
        # A cut without an object settles what was deleted, or is stored already.
        await settle(service.bus, 1, name="")
        assert (await send(3))["stored"] == ends[2]
        (entry,) = await service.bus.read(ALICE, count=10)
        await service.bus.bury(
            ALICE, entry, reason="no packet", first_offset=ends[2], samples=48_000, now_ms=0
        )
        assert (await send(4))["stored"] == ends[2]
        await settle(service.bus, 1, name="chunks/alice/a/3-4.batch.bin")
        ack = await send(5)
        assert (ack["offset"], ack["stored"]) == (ends[5], ends[2])  # until an operator deals with it
