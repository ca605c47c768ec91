"""Objects in the older formats, which are known by their names or have to be read."""

import pytest

from audiostore.errors import TransientStoreError
from storage_api.bucket import Bucket, Judged
from storage_api.keys import Keys

FOLDER = "chunks/user-1/conv-1/"


async def test_raw_pcm_needs_no_look_and_a_batch_one_at_its_head(bucket, counting, store):
    for name in ("1.000.bin", "2.000.bin", "3.000-4.000.batch.bin", "9.000.batch.bin"):
        await store.put(FOLDER + name, bytes(32_000), content_type="x/y", metadata={})
    rows = await bucket.objects("user-1", "conv-1")
    assert [(row.reason, row.end_48k - row.start_48k) for row in rows] == [(None, 48_000)] * 4
    assert counting.asked == ["get_range"] * 2
    assert await bucket.older(rows[0]) == bytes(32_000)
    assert counting.asked == ["get_range"] * 2 + ["get"]


async def test_other_older_objects_are_read_once_to_know_them(bucket, counting, store):
    for name in ("1.000.opus", "2.000.opus"):
        await store.put(FOLDER + name, b"\1\0\0\0\x80\2\0\0\1\0\x48", content_type="x/y", metadata={})
    for _ in range(2):
        rows = await bucket.objects("user-1", "conv-1")
        assert [(row.reason, row.end_48k - row.start_48k) for row in rows] == [(None, 960)] * 2
        assert counting.asked == ["get"] * 2
    assert await bucket.older(rows[0]) == bytes(640)


async def test_a_store_that_is_away_is_no_damage(bucket, counting, store):
    await store.put(FOLDER + "1.000.opus", b"\1\0\0\0\x80\2\0\0\1\0\x48", content_type="x/y", metadata={})
    counting.failures = 3
    with pytest.raises(TransientStoreError):
        await bucket.objects("user-1", "conv-1")
    (row,) = await bucket.objects("user-1", "conv-1")
    assert row.reason is None
    counting.failures = 3
    with pytest.raises(TransientStoreError):
        await bucket.older(row)
    assert await bucket.older(row) == bytes(640)


async def test_an_older_object_that_is_gone_is_no_row(bucket, store, counting):
    await store.put(FOLDER + "1.000.opus", b"x", content_type="x/y", metadata={})
    listed = [(name, info) async for name, info, _ in bucket.names("user-1")]
    await store.delete(FOLDER + "1.000.opus")
    assert await bucket.with_facts(listed) == Judged([], frozenset(info.name for _, info in listed))


async def test_too_large_for_one_piece_is_said_and_its_length_stays_known(
    store, metrics, workers, monkeypatch
):
    monkeypatch.setattr("audiostore.store.MAX_OBJECT_BYTES", 1_000)
    await store.put(FOLDER + "1.000.enc", bytes(900), content_type="x/y", metadata={})
    monkeypatch.setattr("audiostore.store.MAX_OBJECT_BYTES", 800)
    bucket = Bucket(store, metrics, workers, Keys(legacy_secret="secret"))
    (row,) = await bucket.objects("user-1", "conv-1")
    assert (row.reason, row.end_48k - row.start_48k) == ("too_large", 868 // 2 * 3)
    assert metrics.unreadable["too_large"]._value.get() == 1


async def test_large_older_objects_are_read_one_after_another(
    store, metrics, workers, monkeypatch, new_counting
):
    monkeypatch.setattr("storage_api.fetching.LARGE_BYTES", 10)
    at_once = most = 0

    class Slow(new_counting):
        async def get(self, name):
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            data = await super().get(name)
            at_once -= 1
            return data

    for number in range(4):
        await store.put(f"{FOLDER}{number}.000.opus", bytes(20), content_type="x/y", metadata={})
    await Bucket(Slow(store), metrics, workers).objects("user-1", "conv-1")
    assert most == 1
