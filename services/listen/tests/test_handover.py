"""Whoever has opened a conversation last has it; a plain device waits until what its old socket holds is safe."""

import pytest

from audiobus import Conversation
from listen.handover import Handover

CALL = Conversation("alice", "call")


class Socket:
    def __init__(self) -> None:
        self.over = False
        self.superseded = 0
        self.replacements = 0

    def supersede(self) -> None:
        self.superseded += 1

    def replaced(self) -> None:
        self.replacements += 1


async def test_who_has_opened_it_replaces_those_that_arrived_earlier():
    handover, first, second, third = Handover(), Socket(), Socket(), Socket()
    handover.opened(CALL, first, 1)
    handover.opened(CALL, first, 1)  # its own session, again
    handover.opened(Conversation("alice", "other"), third, 3)
    assert (first.replacements, third.replacements) == (0, 0)
    handover.opened(CALL, second, 2)
    assert (first.replacements, second.replacements) == (1, 0)
    handover.opened(CALL, third, 4)
    assert (first.replacements, second.replacements, third.replacements) == (1, 1, 0)
    assert not handover.holds(Conversation("alice", "other"))
    handover.leave(third)
    assert not handover.holds(CALL)


async def test_answers_in_another_order_replace_the_one_that_arrived_earlier():
    handover, first, second = Handover(), Socket(), Socket()
    handover.opened(CALL, second, 2)
    handover.opened(CALL, first, 1)
    assert (first.replacements, second.replacements) == (1, 0)
    assert handover.holds(CALL)


async def test_who_has_left_by_then_has_replaced_the_older_one_and_holds_nothing():
    handover, first, second = Handover(), Socket(), Socket()
    handover.opened(CALL, first, 1)
    second.over = True
    handover.opened(CALL, second, 2)
    assert first.replacements == 1
    assert not handover.holds(CALL)


async def test_of_two_that_arrived_at_once_redis_tells():
    handover, first, second = Handover(), Socket(), Socket()
    handover.opened(CALL, first, 1)
    handover.opened(CALL, second, 1)
    assert (first.replacements, second.replacements) == (0, 0)
    handover.leave(second)
    assert handover.holds(CALL)


async def test_a_plain_socket_that_comes_for_another_conversation_holds_the_former_no_more():
    handover, device = Handover(), Socket()
    await handover.take(CALL, device, 1)
    handover.opened(CALL, device, 1)
    await handover.take(CALL, device, 1)  # its own session, again
    assert handover.holds(CALL)
    await handover.take(Conversation("alice", "other"), device, 2)
    assert not handover.holds(CALL)


@pytest.mark.parametrize("plain", [False, True])
async def test_an_older_socket_with_nothing_to_append_is_told_at_once(service, packets, plain):
    async with service.connect("conversation_id=idle&codec=opus") as old:
        session = (await old.hear("ready"))["session"]
        for packet in packets[:50]:
            await old.send(packet)
        await old.acked(sum(map(len, packets[:50])))
        async with service.connect(f"conversation_id=idle&session={session}&codec=opus", plain=plain) as new:
            await new.hear("ready")
            assert await old.closed() == 4409
            assert old.codes == ["replaced"]
            await new.say(type="close")
            assert await new.closed() == 1000


async def test_who_is_not_let_in_replaces_nobody(service, second):
    async with service.connect("conversation_id=kept") as old:
        session = (await old.hear("ready"))["session"]
        await old.send(second)
        await old.acked(1)
        async with service.connect(f"conversation_id=kept&session={session}&sample_rate=8000") as other:
            assert await other.closed() == 4400
        await old.send(second)
        await old.say(type="close")
        assert await old.closed() == 1000
        assert old.texts[-1]["offset"] == 2 * len(second)


async def test_who_has_changed_its_conversation_is_not_replaced_in_the_former(service):
    async with service.connect("conversation_id=former") as client:
        await client.hear("ready")
        await client.say(type="conversation", conversation_id="latter")
        await client.hear("ready", conversation_id="latter")
        async with service.connect("conversation_id=former") as new:
            await new.hear("ready")
            await client.say(type="close")
            assert await client.closed() == 1000
