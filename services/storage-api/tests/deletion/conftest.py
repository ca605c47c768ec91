"""A user who deletes everything: asking for it, and turns at the operation as processes take them."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from audiostore.store import Store
from storage_api.deletion.notes import KIND
from storage_api.deletion.user_audio import SETTLED_MS, UserAudio
from storage_api.operations.runner import Runner


class Leaving:
    """User `user-1`, and a clock in place of Redis' that stands still until it is put forward."""

    path = "/v1/users/user-1/audio"

    def __init__(self) -> None:
        self.ms = time.time_ns() // 1_000_000

    async def clock(self) -> int:
        return self.ms

    def settle(self) -> None:
        """Long enough for every put that was under way."""
        self.ms += SETTLED_MS + 1000

    async def ask(self, api: Any, token: str = "all-token") -> Any:
        return await api.http.delete(self.path, headers={"Authorization": f"Bearer {token}"})

    async def begin(self, api: Any, token: str = "all-token") -> str:
        """The id of the operation."""
        answer = await self.ask(api, token)
        assert answer.status_code == 202, answer.text
        assert answer.headers["location"] == f"/v1/operations/{answer.json()['id']}"
        begun: str = answer.json()["id"]
        return begun

    async def told(self, api: Any, operation_id: str) -> Any:
        headers = {"Authorization": f"Bearer {api.token('user-1')}"}
        return (await api.http.get(f"/v1/operations/{operation_id}", headers=headers)).json()

    async def turn(self, services: Any, operation_id: str, kind: UserAudio | None = None) -> None:
        """One turn by a process of its own, as soon as may be."""
        bus = services.bus
        await bus.command("HDEL", bus.keys.operation(operation_id), "holder", "until")
        await bus.command("ZADD", bus.keys.operations(), 0, operation_id)
        runner = Runner(bus, {KIND: kind or UserAudio(services, self.clock)})
        taken = {one.operation_id: one for one in await runner.take_due()}
        await runner.carry_out(taken[operation_id])


@pytest.fixture
def leaving() -> Leaving:
    return Leaving()


@pytest.fixture
def names() -> Callable:
    """What lies in a store, by name."""

    async def listed(store: Store) -> list[str]:
        return [info.name async for info in store.list("")]

    return listed


@pytest.fixture
def put() -> Callable:
    """Puts a byte under a name."""

    async def written(store: Store, name: str) -> None:
        await store.put(name, b"x", content_type="application/octet-stream", metadata={})

    return written


@pytest.fixture
def stored() -> Callable:
    """A session, all of it in the bucket."""

    async def recorded(tape: Any, pcm: bytes, start_ms: int = 1_700_000_000_000, parts: int = 2) -> list[str]:
        first = len(tape.chunks)
        await tape.record(pcm, start_ms=start_ms)
        last = len(tape.chunks)
        made = [*await tape.put(first, first + parts), *await tape.put(first + parts, last)]
        await tape.finish(last)
        return made

    return recorded
