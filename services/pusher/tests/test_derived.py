"""What was derived of an object goes with it, from every bucket."""

from audiostore.memory_store import MemoryStore
from audiostore.waveform_names import waveform_names
from pusher.derived import delete_derived, delete_for_good

AUDIO = "chunks/user-1/conv-1/1600000000.000-1600000001.000.batch.bin"
OTHER = "chunks/user-1/conv-1/1600000002.000-1600000003.000.batch.bin"


async def names(store) -> list[str]:
    return [info.name async for info in store.list("")]


async def two() -> tuple[MemoryStore, MemoryStore]:
    """Both with the object, its waveforms and another's."""
    stores = MemoryStore(), MemoryStore()
    for store in stores:
        for name in (AUDIO, *waveform_names(AUDIO), *waveform_names(OTHER)):
            await store.put(name, b"x", content_type="application/octet-stream", metadata={})
    return stores


async def test_only_the_waveforms_of_this_object_go():
    one, other = await two()
    await delete_derived(AUDIO, one, other)
    assert await names(one) == await names(other) == sorted([AUDIO, *waveform_names(OTHER)])


async def test_the_object_goes_from_one_bucket_and_its_waveforms_from_all_before_and_after_it():
    one, other = await two()
    deleted = []

    class Noting:
        async def delete(self, name):
            deleted.append(name)
            await one.delete(name)

    await delete_for_good(AUDIO, Noting(), other)
    assert deleted == [*waveform_names(AUDIO), AUDIO, *waveform_names(AUDIO)]
    assert await names(one) == sorted(waveform_names(OTHER))
    assert await names(other) == sorted([AUDIO, *waveform_names(OTHER)])
