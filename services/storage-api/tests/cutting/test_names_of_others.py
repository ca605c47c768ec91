"""A deletion by a time takes nothing else that has, or comes to have, the name of what was meant."""

import pytest

from audiostore import open_store
from audiostore.names import CONTENT_TYPE
from audiostore.paired_store import PairedStore
from storage_api.cutting.place import Place
from tapedeck_testing.mortal import DiesError

ZERO = {"deleted_objects": 0, "deleted_seconds": 0}


async def fails(*_):
    raise DiesError


async def durations_ms(api, conversation) -> list[int]:
    return [row["duration_ms"] for row in (await api.get(conversation, "/chunks")).json()["chunks"]]


@pytest.fixture
async def second(tmp_path):
    store = open_store(f"file://{tmp_path}/second")
    yield store
    await store.close()


@pytest.fixture
def two_of_one_name(tape, tape_for, conversation, pcm_tone, speech, store, second):
    """Ten seconds in the second bucket, three in the first, in objects of one name. That, and the bytes of the three, which are put where it is wanted."""

    async def make() -> tuple[str, bytes]:
        other = tape_for(conversation)
        await other.record(pcm_tone(3))
        [there] = await other.drain(0, len(other.chunks))
        await tape.record(speech[: 10 * 32_000])
        tape.store = second
        [here] = await tape.drain(0, len(tape.chunks))
        data = await store.get(there)
        await store.delete(there)
        return here, data

    return make


async def test_another_recording_of_the_name_in_the_other_bucket_stays(
    serve, one_bus, tmp_path, two_of_one_name, conversation, cutter, store, second, monkeypatch
):
    name, data = await two_of_one_name()
    await store.put(name, data, content_type=CONTENT_TYPE, metadata={})
    async with serve(one_bus, PairedStore(store, second), tmp_path) as both:
        assert await durations_ms(both, conversation) == [3_000, 10_000]
        with monkeypatch.context() as patch:
            patch.setattr(Place, "begin", fails)
            # Only the longer one holds it.
            assert (await cutter.chunks(both, 5.0)).status_code == 500
        answer = await cutter.chunks(both, 5.0)
        assert answer.json() == {"deleted_objects": 1, "deleted_seconds": 10}
        assert await durations_ms(both, conversation) == [3_000]
        assert (await cutter.chunks(both, 5.0)).json() == ZERO


async def test_another_recording_that_came_to_have_the_name_after_the_look_stays(
    serve, one_bus, tmp_path, two_of_one_name, conversation, cutter, store, second, monkeypatch
):
    name, data = await two_of_one_name()
    begin = Place.begin

    async def comes(self):
        await store.put(name, data, content_type=CONTENT_TYPE, metadata={})
        return await begin(self)

    async with serve(one_bus, PairedStore(store, second), tmp_path) as both:
        with monkeypatch.context() as patch:
            patch.setattr(Place, "begin", comes)
            assert (await cutter.chunks(both, 5.0)).json()["deleted_seconds"] == 10
        assert await durations_ms(both, conversation) == [3_000]


async def test_what_could_not_be_read_and_can_be_now_goes_by_its_name(
    api, tape, cutter, conversation, store, pcm_tone, names, monkeypatch
):
    """Nothing told what was in it."""
    await tape.record(pcm_tone(3))
    [name] = await tape.drain(0, len(tape.chunks))
    data, info = await store.get(name), await store.head(name)
    await store.delete(name)
    await store.put(name, data[:4] + b"x" * len(data), content_type=CONTENT_TYPE, metadata={})
    with monkeypatch.context() as patch:
        patch.setattr(Place, "begin", fails)
        assert (await cutter.chunks(api, 1.5)).status_code == 500
    await store.delete(name)
    await store.put(name, data, content_type=CONTENT_TYPE, metadata=dict(info.metadata or {}))
    assert (await cutter.chunks(api, 1.5)).json()["deleted_objects"] == 1
    assert await names(store) == []
