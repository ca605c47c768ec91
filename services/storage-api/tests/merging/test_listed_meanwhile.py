"""A conversation goes into another one at any moment of a list of conversations: all that was recorded is in it, in the one or in the other."""

import itertools

import pytest

from audiobus import Bus, Conversation
from audiostore.memory_store import MemoryStore
from tapedeck_testing.draining.steps import Meanwhile

T0 = 1_700_000_000_000
HEADERS = {"Authorization": "Bearer all-token"}
PATH = "/v1/users/user-1/conversations"


class Listed(MemoryStore):
    """Each name of a listing is a step: a long one takes many calls."""

    def __init__(self) -> None:
        super().__init__()
        self.step = None

    async def list(self, prefix, after=""):
        async for info in super().list(prefix, after):
            yield info
            if self.step is not None and prefix == "chunks/user-1/":
                await self.step("name")


@pytest.fixture
def store() -> Listed:
    return Listed()


@pytest.mark.parametrize("page_size", [1, 100])
async def test_it_is_there(merging, recorded, one_bus, store, serve, tmp_path, page_size):
    await recorded("by", T0 - 60_000, 0.2)
    for at in itertools.count(1):
        # Before its source, so that it is listed first.
        source, target = f"source-{at}", f"a-{at}"
        seconds = 0.2 + 0.02 * at
        await recorded(source, T0 + at * 60_000, seconds)

        async def merge(source=source, target=target) -> None:
            store.step = None
            assert (await merging.run([source], target)).error == b""

        meanwhile = Meanwhile(at, merge)
        async with Bus(one_bus.url, prefix=one_bus.keys.prefix) as own:
            client, own.client = own.client, meanwhile.before(own.client)
            store.step = meanwhile.step
            async with serve(own, meanwhile.before(store), tmp_path) as api:
                answer = await api.http.get(PATH, params={"page_size": page_size}, headers=HEADERS)
            store.step, own.client = None, client
        assert answer.status_code == 200
        [newest, *rest] = answer.json()["conversations"]
        told = (newest["conversation_id"] in (source, target), newest["stored_seconds"])
        assert told == (True, pytest.approx(seconds)), at
        assert [row["conversation_id"] for row in rest] == (["by"] if page_size > 1 else [])
        if not meanwhile.happened:
            return
        for one in (source, target):
            for file in await merging.files(one):
                await store.delete(f"chunks/user-1/{one}/{file}")
            await one_bus.note_not_live(Conversation("user-1", one))
