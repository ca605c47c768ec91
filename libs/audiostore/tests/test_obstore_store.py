"""Loops, limits and odd moments of the code that s3:// and az:// share; what it promises is tested in test_store and test_remote_stores."""

import asyncio
import threading

import pytest

from audiostore import open_store
from audiostore.errors import NotFoundError, TransientStoreError
from audiostore.obstore_store import UNDER_WAY

SCHEMES = ["s3", "az"]


async def put(store, name, data=b"audio"):
    return await store.put(name, data, content_type="audio/ogg", metadata={"k": "v"})


def in_another_loop(story):
    """Runs the story in a thread with a loop of its own, which is closed when it returns."""
    told = []
    thread = threading.Thread(target=lambda: told.append(asyncio.run(story())))
    thread.start()
    thread.join(60)
    return told[0]


async def test_a_store_outlives_the_loop_that_used_it(remote):
    store = open_store(remote.url)
    for name in ("a", "b"):
        assert await asyncio.to_thread(in_another_loop, lambda name=name: put(store, name))
    assert [info.name async for info in store.list("")] == ["a", "b"]


async def test_a_loop_may_close_while_something_is_under_way(remote):
    store = open_store(remote.url)
    remote.line.faults.append(("/left", "stall"))

    async def leave() -> bool:
        call = asyncio.ensure_future(store.get("left"))
        while not remote.line.counted("/left"):
            await asyncio.sleep(0.01)
        return not call.done()

    assert await asyncio.to_thread(in_another_loop, leave)
    remote.line.release.set()  # the answer finds nobody: nothing may warn
    with pytest.raises(NotFoundError):
        await store.get("left")


async def test_no_more_requests_than_places(remote):
    at_once = most = 0

    class Watched:
        def __init__(self, client):
            self._client = client

        async def get_async(self, *args, **kwargs):
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            try:
                return await self._client.get_async(*args, **kwargs)
            finally:
                at_once -= 1

    await put(remote.store, "a")
    remote.store._client = Watched(remote.store._client)
    await asyncio.gather(*(remote.store.get("a") for _ in range(3 * UNDER_WAY)))
    assert 1 < most <= UNDER_WAY


async def test_ones_own_object_that_somebody_removed_meanwhile_is_no_conflict_and_not_stored(
    remote, monkeypatch
):
    """Whoever removed it may have found it damaged: who hears that it is stored lets the only other copy go."""
    for name, value in remote.server.settings().items():
        monkeypatch.setenv(name, value)
    somebody = open_store(remote.url)  # not over the line
    entered = remote.line.next_fault

    def removed_before_the_look(request):
        if request.startswith("HEAD"):
            asyncio.run(somebody.delete("a"))
        return entered(request)

    remote.line.next_fault = removed_before_the_look
    remote.line.faults.append(("PUT", "lose"))
    with pytest.raises(TransientStoreError, match="gone again"):
        await put(remote.store, "a")
    with pytest.raises(NotFoundError):
        await somebody.get("a")
    assert (await put(remote.store, "a")).size == 5
