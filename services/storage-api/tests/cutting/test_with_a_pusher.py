"""Cutting out of what is just being recorded, with a real pusher beside it: nothing of it stays in Redis, or comes to the bucket later."""

import asyncio
from functools import partial

import pytest

from audiobus import Hints
from audiobus.cut import decode_cut
from audiobus.dead_letters import look
from audiostore.key_ring import KeySource
from audiostore.memory_store import MemoryStore
from audiostore.paired_store import PairedStore, copy_over
from pusher.cutter import Limits
from pusher.homecoming import Homecoming
from pusher.metrics import PusherMetrics
from pusher.worker import Worker
from tapedeck_testing.draining.gated import Gated
from tapedeck_testing.draining.inside import again_and_again
from tapedeck_testing.touched_packets import touched


def worker_over(bus, store, **given) -> Worker:
    metrics = PusherMetrics()
    return Worker(bus, Hints(bus), store, metrics, "test", Limits(), **given)


def draining(worker, conversation):
    """It looks at the conversation again and again."""
    return again_and_again(partial(worker.drain, conversation), 0.02)


async def test_what_waits_is_stored_and_cut_while_its_session_goes_on(
    api, tape, cutter, store, conversation, one_bus, encode, speech, packets
):
    chunks = encode(speech[: 12 * 32_000])
    await tape.open()
    await tape.append(chunks[:6])
    worker = worker_over(one_bus, store)
    async with draining(worker, conversation):
        answer = await cutter.stretch(api, 2.5, 3.5)
        assert answer.status_code == 200, answer.text
        await tape.append(chunks[6:])
        await one_bus.ask(conversation, "flush")
        await worker.drain(conversation)
        async with asyncio.timeout(60):
            while await one_bus.read(conversation, count=1):
                await asyncio.sleep(0.02)
    every = {packet for chunk, _ in chunks for packet in chunk.packets}
    assert await packets(store) == every - set(touched(chunks, 2.5, 3.5))
    balance = await cutter.balance()
    assert balance.deleted == round(answer.json()["deleted_seconds"] * 48_000)
    assert balance.waiting == 0
    pcm = await api.pcm(conversation)
    assert len(pcm) == 12 * 16_000


async def test_the_pre_roll_that_waits_for_the_next_batch_goes_too(
    api, tape, cutter, store, conversation, one_bus, encode, speech, packets
):
    chunks = encode(speech[: 8 * 32_000])
    await tape.open()
    await tape.append(chunks[:4])
    async with draining(worker_over(one_bus, store), conversation):
        # Up to what was recorded last: what the next batch would begin with is cut out.
        assert (await cutter.stretch(api, 3.0)).status_code == 200
        assert (await one_bus.state(conversation)).preroll is None
        await tape.append(chunks[4:])
        assert (
            await api.http.post(
                api.path(conversation, ":flush"), headers={"Authorization": "Bearer all-token"}
            )
        ).status_code == 200
    assert not await packets(store) & set(touched(chunks[:4], 3.0, 4.0))
    assert (await api.get(conversation)).json()["recorded_seconds"] == pytest.approx(7.0, abs=0.03)
    await cutter.balance()


async def test_a_cut_that_stands_on_that_pre_roll_is_given_up(
    api, tape, cutter, store, conversation, one_bus, encode, speech, packets, names
):
    """A pusher has written the next cut down, and holds its object with the pre-roll in it: it must not stay."""
    chunks = encode(speech[: 8 * 32_000])
    await tape.open()
    await tape.append(chunks[:4])
    await one_bus.ask(conversation, "flush")
    await worker_over(one_bus, store).drain(conversation)
    assert (await one_bus.state(conversation)).preroll is not None
    await tape.append(chunks[4:])
    await one_bus.ask(conversation, "flush")
    slow = Gated(store, "put")
    late = asyncio.create_task(worker_over(one_bus, slow).drain(conversation))
    await slow.reached.wait()
    name = decode_cut((await one_bus.state(conversation)).cut).name
    answer = await cutter.stretch(api, 3.8, 3.9)
    assert answer.status_code == 200, answer.text
    slow.go.set()
    await late
    assert name not in await names(store)
    assert not await packets(store) & set(touched(chunks, 3.8, 3.9))
    every = {packet for chunk, _ in chunks for packet in chunk.packets}
    assert await packets(store) == every - set(touched(chunks, 3.8, 3.9))
    assert (await cutter.balance()).waiting == 0


async def test_a_pusher_that_puts_a_batch_again_which_was_cut_takes_it_back(
    api, tape, cutter, store, conversation, one_bus, encode, speech, packets
):
    """Two pushers had the same cut: one has finished it, the other one's put comes when the batch is cut and deleted."""
    chunks = encode(speech[: 4 * 32_000])
    await tape.open()
    await tape.append(chunks)
    await one_bus.ask(conversation, "flush")
    slow = Gated(store, "put")
    late = asyncio.create_task(worker_over(one_bus, slow).drain(conversation))
    await slow.reached.wait()
    await one_bus.release_lease(conversation, "test")
    await worker_over(one_bus, store).drain(conversation)
    assert (await cutter.stretch(api, 1.0, 2.0)).json()["deleted_objects"] == 1
    slow.go.set()
    await late
    await worker_over(one_bus, store).drain(conversation)
    assert not await packets(store) & set(touched(chunks, 1.0, 2.0))
    assert (await api.get(conversation)).json()["recorded_seconds"] == pytest.approx(3.0, abs=0.03)
    await cutter.balance()


async def test_dead_letters_of_that_time_go(
    api, tape, cutter, store, conversation, one_bus, encode, pcm_tone
):
    chunks = encode(pcm_tone(6))
    await tape.open()
    await tape.append(chunks)
    entries = [entry for entry in await one_bus.read(conversation, count=20) if entry.chunk is not None]
    for number in (1, 4):
        chunk = chunks[number][0]
        assert await one_bus.bury(
            conversation,
            entries[number],
            reason="t",
            first_offset=chunk.first_offset,
            samples=chunk.samples,
            now_ms=1,
        )
    async with draining(worker_over(one_bus, store), conversation):
        answer = await cutter.stretch(api, 1.5, 1.6)
    assert (answer.status_code, answer.json()) == (200, {"deleted_objects": 0, "deleted_seconds": 1.0})
    letters = [one.letter.entry.id async for one in look(one_bus, conversation) if one.letter]
    assert letters == [entries[4].id]
    assert (await cutter.balance()).deleted == 48_000


async def test_batches_in_either_bucket_are_cut_and_the_mover_brings_nothing_back(
    serve, tape, cutter, store, conversation, one_bus, tmp_path, encode, speech, packets, names
):
    second = MemoryStore()
    chunks = encode(speech[: 9 * 32_000])
    await tape.open()
    await tape.append(chunks)
    tape.store = second
    [away] = await tape.drain(0, 3)
    [both] = await tape.drain(3, 6)
    await copy_over(second, store, both, both)
    tape.store = store
    await tape.drain(6, len(chunks))
    async with serve(one_bus, PairedStore(store, second), tmp_path) as api:
        # The mover has read the batch, and brings it home while it is cut.
        [info] = [info async for info in second.list("") if info.name == away]
        slow = Gated(store, "put")
        mover = asyncio.create_task(Homecoming(one_bus, slow, second, KeySource()).move(info))
        await slow.reached.wait()
        answer = await cutter.stretch(api, 1.0, 4.0)
        assert (answer.status_code, answer.json()["deleted_objects"]) == (200, 2)
        slow.go.set()
        assert await mover == "deleted"
        assert await names(second) == []
        every = {packet for chunk, _ in chunks for packet in chunk.packets}
        assert await packets(store) == every - set(touched(chunks, 1.0, 4.0))
        await cutter.balance()
        assert (await cutter.stretch(api, 1.0, 4.0)).json() == {"deleted_objects": 0, "deleted_seconds": 0}


async def test_two_recordings_of_one_name_lose_only_what_each_has_of_it(
    serve, tape, tape_for, cutter, store, conversation, one_bus, tmp_path, encode, pcm_tone, batches
):
    """Each bucket has other audio under the same name: deleting the name deletes both, so what stays of either is put anew."""
    second = MemoryStore()
    chunks = encode(pcm_tone(3))
    await tape.open()
    await tape.append(chunks)
    [name] = await tape.put(0, len(chunks))
    other = tape_for(conversation)
    other.store = second
    await other.open(resume=None)
    other_chunks = encode(pcm_tone(3, hertz=300.0))
    await other.append(other_chunks)
    assert await other.put(0, len(other_chunks)) == [name]
    await one_bus.command("DEL", one_bus.keys.audio(conversation))
    await one_bus.command(
        "HSET", one_bus.keys.conv(conversation), "out", (await one_bus.state(conversation)).received_samples
    )
    async with serve(one_bus, PairedStore(store, second), tmp_path) as api:
        answer = await cutter.stretch(api, 1.0, 2.0)
        assert answer.status_code == 200, answer.text
        assert [info async for info in second.list("")] == []
        left = await batches(store)
        assert {span.epoch for batch in left for span in batch.spans} == {tape.epoch, other.epoch}
        assert [len(batch.spans) for batch in left] == [2, 2]
        found = {packet for batch in left for span in batch.spans for packet in span.packets}
        every = {packet for chunk, _ in (*chunks, *other_chunks) for packet in chunk.packets}
        assert found == every - set(touched(chunks, 1, 2)) - set(touched(other_chunks, 1, 2))
        await cutter.balance()
