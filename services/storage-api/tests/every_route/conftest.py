"""A house in which every route finds something, and for each route the request that does: a route without one fails the tests here."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec
import pytest

from audiobus import Conversation, operations
from storage_api.ids import letter_id
from storage_api.routes import TABLE
from storage_api.row import Row

USER = "/v1/users/{uid}"
CONVERSATION = USER + "/conversations/{cid}"
OWN = "user-1"


@dataclass(frozen=True)
class Asked:
    """A request that is right."""

    status: int = 200
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    users: bool = True
    """Whether a user may, for what is theirs."""


REQUESTS: dict[str, Asked] = {
    f"GET {USER}/conversations": Asked(),
    f"GET {CONVERSATION}": Asked(),
    f"GET {CONVERSATION}/chunks": Asked(),
    f"GET {CONVERSATION}/recordings": Asked(),
    f"GET {CONVERSATION}/audio": Asked(query={"format": "wav"}),
    f"HEAD {CONVERSATION}/audio": Asked(query={"format": "wav"}),
    f"GET {CONVERSATION}/waveform": Asked(query={"samples_per_pixel": "256"}),
    f"DELETE {CONVERSATION}/chunks": Asked(query={"timestamps": "1700000000.000"}),
    f"DELETE {CONVERSATION}/audio": Asked(query={"start": "1700000001", "end": "1700000002"}),
    f"DELETE {CONVERSATION}": Asked(),
    f"DELETE {USER}/audio": Asked(202),
    f"POST {USER}/conversations:merge": Asked(
        202, body={"sources": ["conv-2"], "target": "all", "delete_sources": True}
    ),
    f"POST {CONVERSATION}:flush": Asked(),
    "GET /v1/operations/{id}": Asked(),
    f"GET {USER}/settings": Asked(),
    f"PUT {USER}/settings": Asked(body={"store_audio": False}, users=False),
    f"GET {USER}/usage": Asked(query={"from": "2023-11-14", "to": "2023-11-15"}),
    "GET /v1/buffers": Asked(users=False),
    "POST /v1/buffers:flush": Asked(202, body={}, users=False),
    "GET /v1/dead-letters": Asked(users=False),
    "POST /v1/dead-letters/{id}:retry": Asked(202, users=False),
}
V1 = {f"{row.method} {row.path}": row for row in TABLE if row.path.startswith("/v1/")}


SOME = {
    "row": lambda _row: True,
    "users_row": lambda row: REQUESTS[f"{row.method} {row.path}"].users,
    "writing_row": lambda row: row.method not in ("GET", "HEAD"),
    "conversations_row": lambda row: "cid" in row.path_ids,
    "other_ids_row": lambda row: "id" in row.path_ids,
    "naming_row": lambda row: row.body is not None and row.name != "settings",
}
"""Routes, by what a test calls them: all; those that users may ask for their own; that write; that name a conversation; something else; in the body."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Routes of the API, named as the page names them."""
    for wanted in SOME.keys() & set(metafunc.fixturenames):
        rows = {name: row for name, row in V1.items() if SOME[wanted](row)}
        metafunc.parametrize(wanted, rows.values(), ids=rows.keys())


@dataclass
class House:
    """The service, and what lies there."""

    api: Any
    letter: str

    def path(self, row: Row, **others: str) -> str:
        """To what is there; `others`: another uid, cid or id."""
        ids = {"uid": OWN, "cid": "conv-1", "id": self.letter if "dead" in row.path else "op-1", **others}
        return re.sub(r"\{(\w+)\}", lambda found: ids[found[1]], row.path)

    async def ask(
        self,
        row: Row,
        token: str | None = "all-token",
        *,
        headers: Mapping[str, str] | None = None,
        path: str = "",
        query: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> httpx.Response:
        """The right request, but for what is given here."""
        asked = REQUESTS[f"{row.method} {row.path}"]
        given = {} if token is None else {"Authorization": f"Bearer {token}"}
        body = None if asked.body is None else msgspec.json.encode(asked.body)
        return await self.api.http.request(
            row.method,
            path or self.path(row),
            params=asked.query if query is None else query,
            content=body if content is None else content,
            headers={**given, **(headers or {})},
        )

    async def holds(self, bus) -> dict[str, Any]:
        """All that requests could change: Redis and the bucket."""
        keys = await bus.command("KEYS", bus.keys.prefix + "*")
        found: dict[str, Any] = {key.decode(): await bus.command("DUMP", key) for key in keys}
        return found | {info.name: info.size async for info in self.api.services.bucket.store.list("")}


@pytest.fixture
def asked(row) -> Asked:
    """The request that is right for it."""
    return REQUESTS[f"{row.method} {row.path}"]


async def furnish(tape_for, pcm_tone, bus, *, batches: int = 1) -> str:
    """Two conversations that are stored, one that waits and has a dead letter, whose id is answered, and an operation."""
    for name, seconds in (("conv-1", 3), ("conv-2", 1)):
        tape = tape_for(Conversation(OWN, name))
        await tape.record(pcm_tone(seconds))
        step = -(-len(tape.chunks) // batches)
        for first in range(0, len(tape.chunks), step):
            await tape.drain(first, min(first + step, len(tape.chunks)))
    waiting = tape_for(Conversation(OWN, "conv-3"))
    await waiting.record(pcm_tone(2))
    entry = next(one for one in await bus.read(waiting.conversation, count=9) if one.chunk)
    chunk = waiting.chunks[0][0]
    assert await bus.bury(
        waiting.conversation,
        entry,
        reason="test",
        first_offset=chunk.first_offset,
        samples=chunk.samples,
        now_ms=1_700_000_500_000,
    )
    assert await operations.begin(bus, "op-1", "thing", OWN, b"{}")
    return letter_id(waiting.conversation, entry.id)


@pytest.fixture
async def house(api, tape_for, pcm_tone, one_bus) -> House:
    return House(api, await furnish(tape_for, pcm_tone, one_bus))


@pytest.fixture
def furnished():
    """Furnishes a house of the test's own."""
    return furnish


@pytest.fixture
def house_of():
    return House


@pytest.fixture
def rows() -> dict[str, Row]:
    return V1


@pytest.fixture
def requests() -> dict[str, Asked]:
    return REQUESTS
