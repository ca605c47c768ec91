"""The bucket as a reader sees it: what is looked at, how often, and what is remembered."""

import os
from dataclasses import replace

import pytest

from audiostore import open_store
from audiostore.errors import StoreError
from audiostore.file_metadata import ATTRIBUTE
from audiostore.names import CONTENT_TYPE
from storage_api.bucket import Bucket
from storage_api.errors import SourceGoneError, log_text
from storage_api.reading import holds
from tapedeck_testing.file_systems import has_attributes


async def test_an_object_that_tells_what_it_holds_is_not_opened(
    bucket, counting, metrics, workers, tape, pcm_tone, tmp_path
):
    await tape.record(pcm_tone(4))
    await tape.put(0, 2)
    await tape.put(2, 5)
    if not has_attributes(tmp_path):
        pytest.skip("no extended attributes here")
    told = await bucket.objects("user-1", "conv-1")
    assert counting.asked == []
    opened = [await bucket.batch(stored) for stored in told]
    assert [holds(batch, stored.verdict.facts) for batch, stored in zip(opened, told, strict=True)] == [
        True
    ] * 2
    # Who reads the heads finds the same; but for what only metadata tell.
    for path in tmp_path.rglob("*.batch.bin"):
        os.removexattr(path, ATTRIBUTE)
    bucket = Bucket(counting, metrics, workers)
    read = await bucket.objects("user-1", "conv-1")
    assert counting.asked[2:] == ["get_range"] * 2
    only = {"sha256": None, "pages": None}
    assert [replace(one.verdict.facts, **only) for one in told] == [one.verdict.facts for one in read]
    assert [replace(one, verdict=read[at].verdict) for at, one in enumerate(told)] == read


@pytest.mark.usefixtures("files_without_metadata")
async def test_an_object_is_looked_at_once(bucket, counting, tape, pcm_tone):
    await tape.record(pcm_tone(4))
    await tape.put(0, 2)
    await tape.put(2, 5)
    first = await bucket.objects("user-1", "conv-1")
    assert counting.asked == ["get_range"] * 2
    assert await bucket.objects("user-1", "conv-1") == first
    assert counting.asked == ["get_range"] * 2
    assert [piece.span.samples for stored in first for piece in stored.pieces] == [
        2 * 48_000 - 312,
        2 * 48_000 + 312,
    ]


async def test_metadata_spares_looking(tape, pcm_tone, metrics, workers, new_counting):
    memory = new_counting(open_store("memory:"))
    tape.store = memory
    await tape.record(pcm_tone(2))
    await tape.put(0, 3)
    (stored,) = await Bucket(memory, metrics, workers).objects("user-1", "conv-1")
    assert memory.asked == []
    assert stored.verdict.facts.samples == 2 * 48_000


async def test_metadata_that_is_not_ours_sends_to_the_tags(tape, pcm_tone, metrics, workers):
    memory = open_store("memory:")
    tape.store = open_store("memory:")
    await tape.record(pcm_tone(2))
    (name,) = await tape.put(0, 3)
    data = await tape.store.get(name)
    await memory.put(name, data, content_type=CONTENT_TYPE, metadata={"tapedeck-version": "2"})
    (stored,) = await Bucket(memory, metrics, workers).objects("user-1", "conv-1")
    assert stored.verdict.facts.samples == 2 * 48_000


@pytest.mark.usefixtures("files_without_metadata")
async def test_reads_are_tried_again_and_then_given_up(bucket, counting, tape, pcm_tone):
    await tape.record(pcm_tone(1))
    await tape.put(0, 1)
    counting.failures = 2
    (stored,) = await bucket.objects("user-1", "conv-1")
    assert counting.asked == ["get_range"] * 3
    counting.failures = 3
    with pytest.raises(StoreError):
        await bucket.batch(stored)


async def test_what_is_gone_says_so(bucket, tape, pcm_tone):
    await tape.record(pcm_tone(1))
    (name,) = await tape.put(0, 1)
    (stored,) = await bucket.objects("user-1", "conv-1")
    await tape.store.delete(name)
    with pytest.raises(SourceGoneError):
        await bucket.batch(stored)
    assert await bucket.objects("user-1", "conv-1") == []


@pytest.mark.usefixtures("files_without_metadata")
async def test_requests_to_the_bucket_are_counted(bucket, metrics, tape, pcm_tone):
    await tape.record(pcm_tone(1))
    (name,) = await tape.put(0, 1)
    (stored,) = await bucket.objects("user-1", "conv-1")
    await tape.store.delete(name)
    with pytest.raises(SourceGoneError):
        await bucket.batch(stored)
    counted = {
        labels: metrics.bucket_requests[labels]._value.get()
        for labels in (("list", "ok"), ("get_range", "ok"), ("get", "not_found"))
    }
    assert set(counted.values()) == {1.0}


async def test_the_memory_of_facts_is_bounded(bucket, tape, pcm_tone, monkeypatch):
    monkeypatch.setattr("storage_api.verdicts.REMEMBERED_OBJECTS", 2)
    await tape.record(pcm_tone(4))
    for number in range(4):
        await tape.put(number, number + 1)
    assert len(await bucket.objects("user-1", "conv-1")) == 4
    assert len(bucket._usual.verdicts._known) == 2
    assert len(await bucket.objects("user-1", "conv-1")) == 4


def test_a_users_id_stays_out_of_the_logs():
    error = StoreError("get chunks/somebody/conv/1.000-2.000.batch.bin: permission denied")
    assert log_text(error) == "get chunks/…/conv/1.000-2.000.batch.bin: permission denied"
