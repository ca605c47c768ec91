"""Whose a name is that a damaged object has, where listings tell nothing of what was put with it."""

from collections.abc import AsyncIterator
from dataclasses import replace

from audiobus.cut import VERSION, Cut
from audiostore.memory_store import MemoryStore
from audiostore.store import ObjectInfo
from servicekit.metrics import Metrics
from storage_api.bucket import Bucket
from storage_api.cutting.name_owner import own_name
from storage_api.metrics import StorageMetrics
from storage_api.routes import TABLE
from storage_api.workers import Workers


class Bare(MemoryStore):
    """A bucket whose listings tell no metadata, as az://."""

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[ObjectInfo]:
        async for info in super().list(prefix, after):
            yield replace(info, metadata=None, crc32c=None)


async def test_what_was_put_for_the_cut_and_stored_as_something_else_is_its_own(
    tape, conversation, one_bus, pcm_tone
):
    tape.store = whole = MemoryStore()
    await tape.record(pcm_tone(4))
    ids = [entry.id for entry in await one_bus.read(conversation, count=99) if entry.chunk]
    [name] = await tape.drain(0, len(tape.chunks))
    info, data, damaged = await whole.head(name), bytearray(await whole.get(name)), Bare()
    data[40] ^= 1
    await damaged.put(name, bytes(data), content_type="audio/ogg", metadata=info.metadata)
    workers = Workers()
    try:
        bucket = Bucket(damaged, StorageMetrics(Metrics("storage-api", "test"), TABLE), workers)
        cut = Cut(VERSION, str(ids[0]), str(ids[-1]), name, "standard", "asked")
        assert await own_name(bucket, conversation, cut) == name
        epoch = ids[-1].epoch + 1
        other = Cut(VERSION, f"{epoch}-1", f"{epoch}-9", name, "standard", "asked")
        assert await own_name(bucket, conversation, other) == "", "it was put for another session"
    finally:
        workers.close()
