"""A rolling change that swaps the two buckets: the new pusher is not ready, and says why, while the old one is there."""

import asyncio
import signal

from audiostore import open_store
from audiostore.names import CONTENT_TYPE, BatchName
from tapedeck_testing.draining.pusher_process import STARTS_WITHIN_S


async def test_it_is_not_ready_and_moves_nothing(new_pusher, tmp_path, eventually):
    one, other = (f"file://{tmp_path}/{name}" for name in ("one", "other"))
    pusher = new_pusher(TAPEDECK_STORE_URL=one, TAPEDECK_FALLBACK_STORE_URL=other)
    await pusher.start()
    second = open_store(other)
    path = BatchName("u", "c", 1000, 2000).path
    await second.put(path, b"audio", content_type=CONTENT_TYPE, metadata={})
    await eventually(pusher.ready, "the old one is ready", STARTS_WITHIN_S)
    swapped = new_pusher("pusher-2", TAPEDECK_STORE_URL=other, TAPEDECK_FALLBACK_STORE_URL=one)
    await swapped.start()

    async def says_so() -> bool:
        status, text = await asyncio.to_thread(swapped.get, "/readyz?verbose")
        return status == 503 and "other pushers have" in text

    await eventually(says_so, "the new one says so", STARTS_WITHIN_S)
    assert any(line["severity"] == "CRITICAL" for line in swapped.lines())
    assert await pusher.ready()
    for each in (pusher, swapped):
        assert await each.end(signal.SIGTERM) == 0
    first = open_store(one)
    found = []
    for store in (first, second):
        found += [info.name async for info in store.list("chunks/")]
        await store.close()
    assert path in found
