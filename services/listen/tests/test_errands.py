"""Commands to Redis on a session's behalf: their defects, their end, and what is not started any more."""

import asyncio

from audiobus import Bus, Conversation, Hints
from audiobus.errors import BusUnavailableError
from audiobus.redis_clock import RedisClock
from listen.errands import HINTS_LIMIT


def errands() -> list[str]:
    names = {"append", "encode", "open", "ask", "look", "user", "hint"}
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name() in names]


async def test_a_defect_in_one_ends_its_socket_and_no_other(service, monkeypatch):
    async with service.connect("conversation_id=well") as well:
        await well.hear("ready")
        with monkeypatch.context() as broken:
            broken.setattr(Bus, "open", lambda *_args, **_named: 1 / 0)
            async with service.connect() as client:
                assert await client.closed() == 1011
                assert client.codes == ["internal"]
        await well.say(type="close")
        assert await well.closed() == 1000
    assert not errands()


async def test_only_so_many_hints_are_placed_at_a_time_and_none_outlives_its_socket(
    service, packets, monkeypatch
):
    async def away(*_args, **_named):
        raise BusUnavailableError("away")

    monkeypatch.setattr(Hints, "due", away)
    async with service.connect("codec=opus&conversation_id=h") as client:
        await client.hear("ready")
        for number in range(2 * HINTS_LIMIT):
            await client.say(type="conversation", conversation_id=f"h{number}")
            await client.hear("ready", conversation_id=f"h{number}")
        assert errands().count("hint") <= HINTS_LIMIT
        assert (await service.metrics())["tapedeck_hints_left_out_total"] > 0
        client.socket.transport.abort()
        await service.until_empty()
    assert not errands()


async def test_a_session_that_its_own_open_began_again_late_is_noticed_when_storing_is_asked_for(
    service, packets
):
    conversation = Conversation("alice", "late")
    async with service.connect("codec=opus&conversation_id=late") as client:
        session = (await client.hear("ready"))["session"]
        for packet in packets[:100]:
            await client.send(packet)
        acked = await client.acked(1)
        owner, came, form = await service.bus.command(
            "HMGET", service.bus.keys.conv(conversation), "owner", "owner_at", "format"
        )
        # The request was given up long ago, and Redis gets to it only now.
        await service.bus.open(
            conversation, owner=owner.decode(), format=form.decode(), now_ms=int(came), arrived_ms=int(came)
        )
        await client.say(type="finalize")
        assert await client.closed() == 1013
    async with service.connect(f"codec=opus&conversation_id=late&session={session}") as client:
        ready = await client.hear("ready")
        assert ready["session"] != session
        assert ready["previous_offset"] >= acked["offset"]


async def test_a_later_socket_opens_though_the_time_of_redis_is_told_earlier_than_before(
    service, monkeypatch
):
    """Each look at Redis' clock may be off by half of the way there and back."""
    tell, behind = RedisClock.ms, iter((0, 1_000, 1_900))

    async def told(*args, **named):
        return await tell(*args, **named) - next(behind)

    monkeypatch.setattr(RedisClock, "ms", told)
    for _ in range(3):
        async with service.connect("conversation_id=order") as client:
            await client.hear("ready")
