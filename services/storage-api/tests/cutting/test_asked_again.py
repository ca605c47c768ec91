"""A deletion that is asked for again, as clients do by themselves after a lost answer, takes nothing that was not asked for."""

import asyncio
from array import array

import msgspec
import pytest

from audiobus import Cut, Hints
from audiobus.replacing import Replacing
from audiostore.errors import TransientStoreError
from pusher.cutter import Limits
from pusher.metrics import PusherMetrics
from pusher.worker import Worker
from storage_api.cutting import waiting
from storage_api.cutting.cutting import Cutting
from storage_api.cutting.place import Place

ZERO = {"deleted_objects": 0, "deleted_seconds": 0}


def worker_over(bus, store) -> Worker:
    return Worker(bus, Hints(bus), store, PusherMetrics(), "test", Limits())


async def put_older(store, name: str, seconds: int) -> None:
    pcm = array("h", [1000] * 16_000 * seconds).tobytes()
    await store.put(f"chunks/user-1/conv-1/{name}", pcm, content_type="x/y", metadata={})


async def listed(api, conversation) -> list[dict]:
    return (await api.get(conversation, "/chunks")).json()["chunks"]


async def test_a_chunk_that_is_gone_takes_no_batch_along_that_goes_over_its_gap(
    api, tape, cutter, store, conversation, one_bus, encode, pcm_tone, names
):
    chunks = encode(pcm_tone(8))
    await tape.open()
    await tape.append(chunks)
    at = (await listed(api, conversation))[3]["timestamp"]
    assert (await cutter.chunks(api, at)).json()["deleted_seconds"] == 1
    await one_bus.ask(conversation, "flush")
    await worker_over(one_bus, store).drain(conversation)
    before = await names(store)
    assert (await cutter.chunks(api, at)).json() == ZERO
    assert await names(store) == before
    # Where it has audio, a time inside the batch selects it.
    assert (await cutter.chunks(api, 5.0)).json()["deleted_objects"] == 1


async def test_an_object_that_is_gone_takes_none_along_that_overlapped_it(api, cutter, store, names):
    await put_older(store, "1700000000.000.bin", 30)
    await put_older(store, "1700000010.000.bin", 30)
    assert (await cutter.chunks(api, 10.0)).json()["deleted_objects"] == 1
    assert (await cutter.chunks(api, 10.0)).json() == ZERO
    assert await names(store, "chunks/") == ["chunks/user-1/conv-1/1700000000.000.bin"]
    assert (await cutter.chunks(api, 11.0)).json()["deleted_objects"] == 1


async def test_a_time_inside_of_what_is_gone_takes_none_along_that_goes_over_it(api, cutter, store, names):
    """Two recordings at one time, as after a merge: what is heard then goes, and asked for again what lay under it stays."""
    await put_older(store, "1700000000.000.bin", 30)
    await put_older(store, "1700000010.000.bin", 30)
    assert (await cutter.chunks(api, 15.5)).json()["deleted_objects"] == 1
    for _ in range(2):
        assert (await cutter.chunks(api, 15.5)).json() == ZERO
    assert await names(store, "chunks/") == ["chunks/user-1/conv-1/1700000010.000.bin"]


async def test_what_comes_after_the_request_stays_where_nothing_was_left(
    api, tape, cutter, conversation, one_bus, encode, pcm_tone, monkeypatch
):
    chunks = encode(pcm_tone(4))
    await tape.open()
    await tape.append(chunks[:2])
    await tape.drain(0, 2)
    assert (await cutter.stretch(api, -10)).json()["deleted_objects"] == 1
    before = (await cutter.balance()).deleted
    real = Cutting.run

    async def run(self):
        await tape.append(chunks[2:])
        return await real(self)

    monkeypatch.setattr(Cutting, "run", run)
    async with asyncio.timeout(60):
        assert (await cutter.stretch(api, -10)).json() == ZERO
    assert len(await listed(api, conversation)) == len(chunks) - 2
    assert (await cutter.balance()).deleted == before


async def test_a_pre_roll_that_comes_with_a_late_finish_goes_too(
    api, tape, cutter, store, conversation, one_bus, encode, speech, packets, monkeypatch
):
    """What waited is stored while the pre-roll was looked at, unseen before that; nothing of it may be kept for the next batch."""
    chunks = encode(speech[: 8 * 32_000])
    await tape.open()
    await tape.append(chunks[:4])
    [name] = await tape.put(0, 4)
    last = f"{tape.epoch}-{chunks[3][1]}"
    cut = Cut(1, f"{tape.epoch}-0", last, name, "standard", "age")
    state = await one_bus.state(conversation)
    await one_bus.cut(conversation, cut, settled=state.settled)
    real, calls = waiting.drop_preroll, 0

    async def drop(*args):
        nonlocal calls
        answer, calls = await real(*args), calls + 1
        if calls == 1:
            await worker_over(one_bus, store).drain(conversation)
        return answer

    async def away(*_):
        raise TransientStoreError("away")

    store_what_waits = waiting.store_what_waits

    async def unseen(*args):
        return await store_what_waits(*args) if calls else False

    monkeypatch.setattr(waiting, "drop_preroll", drop)
    monkeypatch.setattr(waiting, "store_what_waits", unseen)
    with monkeypatch.context() as patch:
        patch.setattr(Place, "delete", away)
        assert (await cutter.chunks(api, 0.0)).status_code == 503
    assert (await one_bus.state(conversation)).preroll is None
    await tape.append(chunks[4:])
    await one_bus.ask(conversation, "flush")
    await worker_over(one_bus, store).drain(conversation)
    assert (await cutter.chunks(api, 0.0)).status_code == 200
    assert not await packets(store) & {packet for chunk, _ in chunks[:4] for packet in chunk.packets}


async def test_no_rest_is_put_while_its_audio_waits(
    api, tape, cutter, store, conversation, one_bus, encode, speech, monkeypatch
):
    """An object that is put and not settled: a pusher would settle what waits by its rest, which may be taken away again."""
    await tape.open()
    await tape.append(encode(speech[: 4 * 32_000]))
    await tape.put(0, 4)
    real = Place.put
    waited = []

    async def put(self, new):
        waited.append(len(await one_bus.read(conversation, count=99)))
        return await real(self, new)

    monkeypatch.setattr(Place, "put", put)
    # Nothing of the stretch itself waits.
    for entry in (await one_bus.read(conversation, count=99))[1:3]:
        await one_bus.command("XDEL", one_bus.keys.audio(conversation), str(entry.id))
    deleting = asyncio.create_task(cutter.stretch(api, 1.3, 1.6))
    async with asyncio.timeout(60):
        while not deleting.done():
            if (await one_bus.state(conversation)).flush is not None:
                await worker_over(one_bus, store).drain(conversation)
            await asyncio.sleep(0.01)
    assert (await deleting).status_code == 200
    assert waited
    assert set(waited) == {0}


async def test_rests_are_taken_away_where_the_bucket_fails(
    api, tape, cutter, store, conversation, one_bus, speech, names, monkeypatch
):
    await tape.record(speech[: 4 * 32_000])
    await tape.drain(0, 4)
    before = await names(store)

    async def away(*_):
        raise TransientStoreError("away")

    with monkeypatch.context() as patch:
        patch.setattr(Place, "replace", away)
        assert (await cutter.stretch(api, 1.0, 2.0)).status_code == 503
    assert await names(store) == before
    assert await Replacing(one_bus, conversation).unfinished() == {}


@pytest.mark.parametrize("field", ["cut", "again_cut"])
async def test_no_object_is_replaced_that_a_cut_speaks_of(conversation, one_bus, field):
    replacing = Replacing(one_bus, conversation)
    assert await replacing.hold()
    key = one_bus.keys.conv(conversation)
    await one_bus.command("HSET", key, field, msgspec.msgpack.encode([9, "1-0", "1-9", "chunks/u/c/old.bin"]))
    assert await replacing.replace([], {"chunks/u/c/old.bin": 5}, 1) is None
    assert await one_bus.command("EXISTS", one_bus.keys.gone(conversation)) == 0
    await one_bus.command("HDEL", key, field)
    assert await replacing.replace([], {"chunks/u/c/old.bin": 5}, 1) is not None


async def test_an_unreadable_object_goes_with_none_that_holds_less(api, cutter, conversation, store, names):
    await put_older(store, "1700000000.000-1700000005.000.batch.bin", 5)
    name = "chunks/user-1/conv-1/1700000000.000.opus"
    await store.put(name, b"\x00no audio", content_type="x/y", metadata={})
    assert "damaged" in [row["unreadable"] for row in await listed(api, conversation)]
    assert (await cutter.stretch(api, 1, 2)).status_code == 409
    assert name in await names(store)


async def test_a_cut_of_another_version_is_told(api, tape, cutter, conversation, one_bus, encode, pcm_tone):
    await tape.open()
    await tape.append(encode(pcm_tone(2)))
    await one_bus.command("HSET", one_bus.keys.conv(conversation), "cut", msgspec.msgpack.encode([9]))
    at = (await listed(api, conversation))[0]["timestamp"]
    answer = await cutter.chunks(api, at)
    assert (answer.status_code, answer.json()["code"]) == (503, "live_unavailable")
