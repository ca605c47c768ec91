"""Merges as tests play them: conversations that are recorded and stored, a pusher that stores what is asked for, and turns of processes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import msgspec
import pytest

from audiobus import Bus, Conversation, operations
from audiostore.names import conversation_prefix
from audiostore.store import Store
from storage_api.merging.merge import KIND, Merge, Request
from storage_api.operations.runner import Runner
from storage_api.services import Services

UID = "user-1"


@dataclass
class Merging:
    """One merge after another over these services."""

    services: Services
    number: int = 0
    of: dict[str, Request] = field(default_factory=dict)

    async def files(self, cid: str, store: Store | None = None) -> dict[str, bytes]:
        """The conversation's objects, by the last part of their names."""
        store = store or self.services.bucket.store
        prefix = conversation_prefix(UID, cid)
        names = [info.name async for info in store.list(prefix)]
        return {name.removeprefix(prefix): await store.get(name) for name in names}

    async def begin(self, sources: Sequence[str], target: str, *, delete: bool = True, uid: str = UID) -> str:
        self.number += 1
        operation_id = f"merge-{self.number}"
        named = tuple(sorted(set(sources) - {target}))
        request = Request(sources=named, target=target, delete_sources=delete)
        await operations.begin(self.services.bus, operation_id, KIND, uid, msgspec.json.encode(request))
        return operation_id

    async def turn(
        self, operation_id: str, *, services: Services | None = None, **fields
    ) -> operations.Operation:
        """One turn, by a process of its own, as soon as may be; how the operation stands then."""
        bus = self.services.bus
        await bus.command("HDEL", bus.keys.operation(operation_id), "holder", "until")
        for other in await bus.command("ZRANGE", bus.keys.operations(), 0, -1):
            await bus.command("ZADD", bus.keys.operations(), "+inf", other)
        await bus.command("ZADD", bus.keys.operations(), 0, operation_id)
        services = services or self.services
        # Nobody records by sockets here, unless a test says so.
        runner = Runner(services.bus, {KIND: Merge(services, **{"grace_ms": 0, **fields})})
        for taken in await runner.take_due():
            await runner.carry_out(taken)
        found = await operations.find(bus, operation_id)
        assert found is not None
        return found

    async def run(
        self, sources: Sequence[str], target: str, *, delete: bool = True, uid: str = UID, **fields
    ) -> operations.Operation:
        return await self.turn(await self.begin(sources, target, delete=delete, uid=uid), **fields)


@pytest.fixture
def merging(api) -> Merging:
    return Merging(api.services)


@pytest.fixture
def recorded(tape_for, pcm_tone) -> Callable[..., Awaitable]:
    """So many seconds of a conversation, from then on, stored or not."""

    async def record(cid: str, start_ms: int, seconds: float = 2.0, *, store: bool = True, **fields):
        tape = tape_for(Conversation(UID, cid))
        await tape.record(pcm_tone(seconds, **fields), start_ms=start_ms)
        if store:
            await tape.drain(0, len(tape.chunks))
        return tape

    return record


@pytest.fixture
def storing(one_bus: Bus):
    """A pusher of these tapes, while inside: what is asked for is stored."""

    @asynccontextmanager
    async def run(*tapes) -> AsyncIterator[None]:
        done = {id(tape): 0 for tape in tapes}

        async def store_on() -> None:
            while True:
                for tape in tapes:
                    state = await one_bus.state(tape.conversation)
                    if state.flush is not None and done[id(tape)] < len(tape.chunks):
                        await tape.drain(done[id(tape)], len(tape.chunks))
                        done[id(tape)] = len(tape.chunks)
                await asyncio.sleep(0.005)

        task = asyncio.create_task(store_on())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    return run
