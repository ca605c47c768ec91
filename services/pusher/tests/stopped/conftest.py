"""Two real pusher processes that share a Redis and a bucket; one of them, A, is stopped (SIGSTOP) after any step, for longer than its lease.

Leases save work, the scripts keep it right: nothing is lost and nothing is stored twice, and what was settled or deleted stays so.
"""

import asyncio
import itertools
import os
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from audiobus import Bus, Hints
from audiobus.conversation import Conversation
from audiostore import open_store
from audiostore.names import conversation_prefix
from tapedeck_testing.draining import stopping_pusher
from tapedeck_testing.draining.pusher_process import Pusher
from tapedeck_testing.draining.stopping_pusher import STEPS

SUPPORT = Path(__file__).parents[4] / "tests" / "support"
WITHIN_S = 60.0
FEW = 3
"""Steps by which one run may be longer than the next: on a slow machine something is asked twice."""


@dataclass
class Scene:
    """The two of them, and what can be seen of them."""

    a: Pusher
    """Stops where a conversation's name says so."""
    b: Pusher
    bus: Bus
    hints: Hints
    folder: Path
    eventually: Callable[..., Awaitable[None]]

    def steps(self, conversation: Conversation) -> list[str]:
        """What A has done for it, in order; `over` at the end."""
        file = self.folder / conversation.cid
        return file.read_text().split() if file.exists() else []

    def over(self, conversation: Conversation) -> bool:
        return "over" in self.steps(conversation)

    def through(self, conversation: Conversation, at: int) -> bool:
        """Whether A, which was stopped after each of so many steps of other conversations, comes to the end of this one with as many."""
        return at - FEW <= self.steps(conversation).index("over") <= at

    async def hint_at(self, conversation: Conversation) -> bool:
        """Has A follow a hint; whether it stopped on the way. B is not given it: not even a read of its that Redis still holds."""
        self.b.stop()

        async def b_reads_nothing() -> bool:
            rows = await self.bus.client.client_list()
            reading = {int(row["addr"].rpartition(":")[2]) for row in rows if "b" in row["flags"]}
            return not reading & self.b.ports

        await self.eventually(b_reads_nothing, "nobody else waits for hints", WITHIN_S)
        await self.runs_out(self.bus.keys.lease(conversation))
        await self.hints.ready(conversation, "flush")
        return await self.a_gets_there(conversation)

    async def a_gets_there(self, conversation: Conversation) -> bool:
        """Waits until A has come to its end, or is stopped; whether it is."""

        async def got_there() -> bool:
            return self.a.stopped or self.over(conversation)

        await self.eventually(got_there, "A gets there", WITHIN_S)
        return self.a.stopped

    async def runs_out(self, lease: str) -> None:
        """Waits until nobody holds it."""

        async def free() -> bool:
            return not await self.bus.command("EXISTS", lease)

        await self.eventually(free, "the lease runs out", WITHIN_S)

    async def b_goes_on(self, conversation: Conversation) -> None:
        """The hint that A holds comes to B, or another."""
        await self.runs_out(self.bus.keys.lease(conversation))
        self.b.go_on()
        if not await self.hints.deliveries(0, count=1):
            await self.hints.ready(conversation, "flush")

    async def b_takes_over(self, conversation: Conversation) -> None:
        """B drains it."""
        await self.b_goes_on(conversation)
        await self.drained(conversation)

    async def a_goes_on(self, conversation: Conversation) -> None:
        """A goes on where it was, and comes to its end."""

        async def over() -> bool:
            return self.over(conversation)

        self.a.go_on()
        await self.eventually(over, "A comes to an end", WITHIN_S)

    async def drained(self, conversation: Conversation) -> None:
        async def check() -> bool:
            state = await self.bus.state(conversation)
            return state.settled == state.newest and state.cut is None

        await self.eventually(check, "everything is stored", WITHIN_S)

    async def emptied(self, store, conversation: Conversation) -> None:
        """Waits until a store has nothing of it."""

        async def check() -> bool:
            return not [one async for one in store.list(conversation_prefix(*conversation))]

        await self.eventually(check, "nothing of it is left", WITHIN_S)

    def no_defects(self) -> bool:
        return "CRITICAL" not in self.a.log.read_text() + self.b.log.read_text()


@pytest.fixture
def settings() -> dict[str, str]:
    """More settings of both."""
    return {}


@pytest.fixture
async def scene(redis_url, prefix, bus, hints, tmp_path, eventually, settings):
    environ = {
        **{key: value for key, value in os.environ.items() if not key.startswith("TAPEDECK_")},
        "PYTHONPATH": str(SUPPORT),
        "TAPEDECK_REDIS_URL": redis_url,
        "TAPEDECK_REDIS_PREFIX": prefix,
        "TAPEDECK_STORE_URL": f"file://{tmp_path}/bucket",
        "TAPEDECK_ADMIN_BIND": "127.0.0.1:0",
        **settings,
    }
    folder = tmp_path / "steps"
    folder.mkdir()
    a = Pusher(
        {**environ, "TAPEDECK_PUSHER_NAME": "a", STEPS: str(folder)},
        tmp_path / "a.log",
        stopping_pusher.__name__,
    )
    b = Pusher({**environ, "TAPEDECK_PUSHER_NAME": "b"}, tmp_path / "b.log", stopping_pusher.__name__)
    await hints.make_group(0)
    await asyncio.gather(a.start(), b.start())
    yield Scene(a, b, bus, hints, folder, eventually)
    await asyncio.gather(a.end(signal.SIGKILL), b.end(signal.SIGKILL))


@pytest.fixture
async def bucket(tmp_path):
    store = open_store(f"file://{tmp_path}/bucket")
    yield store
    await store.close()


@pytest.fixture
def stop_after(new_device, clock):
    """Devices whose conversations have A stop after step 0, 1, 2 …, each with five seconds of audio behind it."""

    async def devices():
        for at in itertools.count():
            clock.ms = time.time_ns() // 1_000_000 - 10_000  # what it says in all
            device = new_device(conversation=f"stop-{at}")
            await device.open()
            await device.say(5)
            yield at, device

    return devices
