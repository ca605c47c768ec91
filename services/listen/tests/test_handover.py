"""A plain device that comes back at once waits until what its old socket holds is safe."""

import asyncio

from audiobus import Conversation
from listen.handover import Handover

CALL = Conversation("alice", "call")


class Socket:
    def __init__(self) -> None:
        self.superseded = 0

    def supersede(self) -> None:
        self.superseded += 1


async def test_who_comes_alone_waits_for_nobody():
    handover, first = Handover(), Socket()
    await handover.take(CALL, first)
    await handover.take(CALL, first)
    await handover.take(Conversation("alice", "other"), Socket())
    assert first.superseded == 0


async def test_who_comes_next_waits_until_the_older_one_is_safe():
    handover, older, newer = Handover(), Socket(), Socket()
    await handover.take(CALL, older)
    waiting = asyncio.create_task(handover.take(CALL, newer))
    await asyncio.sleep(0)
    assert older.superseded == 1
    assert not waiting.done()
    handover.leave(older)
    await asyncio.wait_for(waiting, 1)
    # The older one's end does not take the conversation from the newer one.
    third = asyncio.create_task(handover.take(CALL, Socket()))
    await asyncio.sleep(0)
    assert newer.superseded == 1
    handover.leave(newer)
    await asyncio.wait_for(third, 1)


async def test_one_that_does_not_come_to_its_end_is_waited_for_no_longer():
    handover, older = Handover(0.01), Socket()
    await handover.take(CALL, older)
    await asyncio.wait_for(handover.take(CALL, Socket()), 1)
    handover.leave(older)


async def test_who_has_changed_the_conversation_holds_the_former_no_more():
    handover, older = Handover(), Socket()
    await handover.take(CALL, older)
    await handover.take(Conversation("alice", "next"), older)
    await asyncio.wait_for(handover.take(CALL, Socket()), 1)
    assert older.superseded == 0


async def test_one_that_is_safe_at_once_is_not_waited_for():
    handover = Handover()

    class Ready(Socket):
        def supersede(self) -> None:
            handover.leave(self)

    await handover.take(CALL, Ready())
    await asyncio.wait_for(handover.take(CALL, Socket()), 1)
