"""What tests of deleting a part need: requests as clients make them, and a look at the books and at every packet that is stored."""

from collections.abc import Callable
from dataclasses import dataclass

import httpx
import pytest

from audiobus.census import exact
from audiostore import sealing
from audiostore.batch import Batch, read_batch
from audiostore.store import Store

T0_S = 1_700_000_000


@dataclass
class Cutter:
    """Deletes parts of one conversation, and sees what is left."""

    conversation: object
    bus: object

    async def stretch(self, api, start=None, end=None, *, token: str = "all-token") -> httpx.Response:
        """`DELETE …/audio`, with times in seconds since the recording began."""
        query = {name: f"{T0_S + at:.3f}" for name, at in (("start", start), ("end", end)) if at is not None}
        return await self.send(api, "/audio", query, token)

    async def chunks(self, api, *timestamps, token: str = "all-token") -> httpx.Response:
        """`DELETE …/chunks`, with times as `…/chunks` told them, or seconds since the recording began."""
        texts = [at if isinstance(at, str) else f"{T0_S + at:.3f}" for at in timestamps]
        return await self.send(api, "/chunks", {"timestamps": ",".join(texts)}, token)

    async def send(self, api, rest: str, query: dict, token: str = "all-token") -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return await api.http.delete(api.path(self.conversation, rest), params=query, headers=headers)

    async def balance(self):
        """The books, which must close."""
        found = await exact(self.bus, self.conversation)
        assert found.difference == 0, found
        return found


@pytest.fixture
def cutter(conversation, one_bus) -> Cutter:
    return Cutter(conversation, one_bus)


async def names_in(store: Store, prefix: str = "") -> list[str]:
    return [info.name async for info in store.list(prefix)]


@pytest.fixture
def names() -> Callable:
    return names_in


async def batches_in(store: Store, ring=None, uid: str = "user-1", prefix: str = "chunks/") -> list[Batch]:
    found = []
    for name in await names_in(store, prefix):
        data = await store.get(name)
        found.append(read_batch(sealing.open_sealed(data, ring, uid) if name.endswith(".enc") else data))
    return found


@pytest.fixture
def batches() -> Callable:
    """Every batch in a store, read whole."""
    return batches_in


async def packets_in(store: Store) -> set[bytes]:
    """Every packet that lies in it, be it played or kept as a pre-roll."""
    found: set[bytes] = set()
    for batch in await batches_in(store):
        found.update(batch.preroll)
        for span in batch.spans:
            found.update(span.packets)
    return found


@pytest.fixture
def packets() -> Callable:
    return packets_in
