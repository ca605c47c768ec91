"""A pusher process that is stopped (SIGSTOP) after any step, for longer than its lease: another takes over, and it goes on as if nothing had been.

Two real processes share a Redis and a bucket. Leases save work, the scripts keep it right: nothing is lost and nothing is stored twice, and what
was settled stays so.
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
from audiobus.census import exact
from audiobus.conversation import Conversation
from audiostore import open_store
from audiostore.errors import TransientStoreError
from tapedeck_testing.draining import stopping_pusher
from tapedeck_testing.draining.pusher_process import Pusher
from tapedeck_testing.draining.stopping_pusher import STEPS

SUPPORT = Path(__file__).parents[3] / "tests" / "support"
WITHIN_S = 30.0


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

    async def hint_at(self, conversation: Conversation) -> bool:
        """Has A follow a hint; whether it stopped on the way."""
        # B must not be given it: not even a read of its that Redis still holds.
        self.b.stop()

        async def b_reads_nothing() -> bool:
            rows = await self.bus.client.client_list()
            reading = {int(row["addr"].rpartition(":")[2]) for row in rows if "b" in row["flags"]}
            return not reading & self.b.ports

        async def got_there() -> bool:
            return self.a.stopped or self.over(conversation)

        await self.eventually(b_reads_nothing, "nobody else waits for hints", WITHIN_S)
        await self.hints.ready(conversation, "flush")
        await self.eventually(got_there, "A gets there", WITHIN_S)
        return self.a.stopped

    async def b_takes_over(self, conversation: Conversation) -> None:
        """B drains it: the hint that A holds comes to it, or another."""

        async def lease_is_over() -> bool:
            return not await self.bus.command("EXISTS", self.bus.keys.lease(conversation))

        await self.eventually(lease_is_over, "the lease of A runs out", WITHIN_S)
        self.b.go_on()
        if not await self.hints.deliveries(0, count=1):
            await self.hints.ready(conversation, "flush")
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


@pytest.fixture
async def scene(redis_url, prefix, bus, hints, tmp_path, eventually):
    environ = {
        **{key: value for key, value in os.environ.items() if not key.startswith("TAPEDECK_")},
        "PYTHONPATH": str(SUPPORT),
        "TAPEDECK_REDIS_URL": redis_url,
        "TAPEDECK_REDIS_PREFIX": prefix,
        "TAPEDECK_STORE_URL": f"file://{tmp_path}/bucket",
        "TAPEDECK_ADMIN_BIND": "127.0.0.1:0",
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


@pytest.mark.parametrize("stands", [False, True], ids=["nothing stands", "a cut stands"])
async def test_it_may_be_stopped_after_every_step(
    *, stands, scene, bus, hints, bucket, clock, new_device, new_worker, failing_store, packets_of, state_of
):
    for at in itertools.count():
        clock.ms = time.time_ns() // 1_000_000 - 10_000  # what it says in all
        device = new_device(conversation=f"stop-{at}")
        conversation = device.conversation
        await device.open()
        await device.say(5)
        await bus.ask(conversation, "flush")
        if stands:
            # Somebody wrote a cut down, and could not put it.
            away = failing_store(bucket, [TransientStoreError("away")])
            await new_worker(away).drain(conversation)
        stopped = await scene.hint_at(conversation)
        if stopped:
            await device.say(3)
            await bus.ask(conversation, "flush")
        await scene.b_takes_over(conversation)
        settled = (await state_of(conversation)).settled
        await device.say(2)
        await scene.a_goes_on(conversation)
        assert (await state_of(conversation)).settled >= settled
        await bus.ask(conversation, "end")
        await hints.ready(conversation, "end")
        await scene.drained(conversation)
        steps = scene.steps(conversation)
        assert await packets_of(bucket, conversation) == device.sent, f"stopped after {at} of {steps}"
        balance = await exact(bus, conversation)
        assert (balance.difference, balance.waiting, balance.dead) == (0, 0, 0)
        if not stopped:
            break
    # Each step was met, from the claim of the hint to its acknowledgement.
    assert at == steps.index("over")
    assert {"claim", "build", "link", "put", "finish"} <= set(steps)
    assert stands or "cut" in steps
    assert "CRITICAL" not in scene.a.log.read_text() + scene.b.log.read_text()
