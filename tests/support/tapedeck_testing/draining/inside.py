"""Pushers inside the process of a test: one that looks once, one that looks again and again, and one of which each step is told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

from audiobus import Bus, Conversation, Hints
from audiostore.store import Store
from pusher.cutter import Limits
from pusher.metrics import PusherMetrics
from pusher.worker import Worker
from tapedeck_testing.draining.steps import Killed, Step, Stepping


async def drained(bus: Bus, store: Store, conversation: Conversation, holder: str = "c") -> None:
    """By a pusher that comes when the lease of whoever had it is over."""
    await bus.command("DEL", bus.keys.lease(conversation))
    await Worker(bus, Hints(bus), store, PusherMetrics(), holder, Limits()).drain(conversation)


@asynccontextmanager
async def again_and_again(look: Callable[[], Awaitable[object]], pause_s: float) -> AsyncIterator[None]:
    """Looks meanwhile, with pauses."""

    async def go_on() -> None:
        while True:
            await look()
            await asyncio.sleep(pause_s)

    task = asyncio.create_task(go_on())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def drained_in_steps(bus: Bus, store: Store, conversation: Conversation, step: Step) -> None:
    """By a pusher that has its own connection, and tells of each step before it is made; one that raises `Killed` ends it there."""
    async with Bus(bus.url, prefix=bus.keys.prefix) as own:
        client, own.client = own.client, cast("Any", Stepping(own.client, step))
        stepping: Store = Stepping(store, step)
        worker = Worker(own, Hints(own), stepping, PusherMetrics(), "a", Limits())
        with suppress(Killed):
            await worker.drain(conversation)
        own.client = client
