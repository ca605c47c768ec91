"""Objects that cannot be read: said once, remembered, and looked at again when that may help."""

import pytest

from audiostore import open_store
from storage_api.bucket import Bucket
from storage_api.errors import UnreadableError
from storage_api.stored_object import MAX_NAMED_MS

FOLDER = "chunks/user-1/conv-1/"


async def test_what_cannot_be_read_is_a_row_with_its_reason_and_counted(bucket, store, metrics):
    folder = "chunks/user-1/conv-1/"
    for name, data in (
        ("1.000-2.000.batch.bin", b"OggS, and then nothing of ours"),
        ("3.000-4.000.batch.enc", b"TDSEAL01\2k1" + bytes(100)),
        ("5.000-6.000.batch.enc", b"TDSEAL01"),
        ("7.000-8.000.batch.bin", b""),
        ("9.000-9.500.batch.enc", b"sealed in an older format"),
        ("9.600-9.700.batch.bin", b"TDSEAL01\2k1" + bytes(100)),
        ("notes.txt", b"no audio at all"),
    ):
        await store.put(folder + name, data, content_type="x/y", metadata={})
    rows = await bucket.objects("user-1", "conv-1")
    reasons = ["not_a_batch", "no_key", "damaged", "damaged", "no_key", "damaged"]
    assert [row.reason for row in rows] == reasons
    assert (rows[0].start_48k, rows[0].end_48k) == (48_000, 96_000)
    assert not any(row.pieces for row in rows)
    assert metrics.unreadable["no_key"]._value.get() == 2
    await bucket.objects("user-1", "conv-1")
    assert metrics.unreadable["no_key"]._value.get() == 2


async def test_a_broken_body_is_remembered_and_its_time_stays_known(bucket, tape, pcm_tone, tmp_path):
    await tape.record(pcm_tone(2))
    (name,) = await tape.put(0, 3)
    path = tmp_path / "store" / name
    path.write_bytes(path.read_bytes()[:-10])
    (stored,) = await bucket.objects("user-1", "conv-1")
    assert stored.reason is None
    with pytest.raises(UnreadableError) as caught:
        await bucket.batch(stored)
    assert caught.value.reason == "not_a_batch"
    (again,) = await bucket.objects("user-1", "conv-1")
    assert (again.reason, again.start_48k, again.end_48k) == ("not_a_batch", stored.start_48k, stored.end_48k)


async def test_what_was_found_broken_stays_so_however_much_is_looked_at_since(
    bucket, tape, pcm_tone, tmp_path, monkeypatch
):
    monkeypatch.setattr("storage_api.verdicts.REMEMBERED_OBJECTS", 2)
    await tape.record(pcm_tone(4))
    names = [name for number in range(4) for name in await tape.put(number, number + 1)]
    path = tmp_path / "store" / names[0]
    path.write_bytes(path.read_bytes()[:-10])
    rows = await bucket.objects("user-1", "conv-1")
    with pytest.raises(UnreadableError):
        await bucket.batch(rows[0])
    # Another request that had begun to look at its head before comes to its end now.
    assert (await bucket._look(bucket._usual, rows[0].name, rows[0].info)).reason == "not_a_batch"
    for _ in range(2):
        again = await bucket.objects("user-1", "conv-1")
        assert [row.reason for row in again] == ["not_a_batch", None, None, None]


async def test_a_plain_batch_that_was_moved_is_damaged_too(bucket, store, tape, pcm_tone):
    await tape.record(pcm_tone(2))
    (name,) = await tape.put(0, 3)
    memory = open_store("memory:")
    tape.store = memory
    await tape.put(0, 3)
    data, metadata = await memory.get(name), (await memory.head(name)).metadata
    await store.put(
        FOLDER + "1700000300.000-1700000302.000.batch.bin", data, content_type="x/y", metadata=metadata
    )
    rows = await bucket.objects("user-1", "conv-1")
    assert [row.reason for row in rows] == [None, "damaged"]


async def test_a_broken_object_that_a_good_one_replaces_is_read_again_after_a_while(
    store, metrics, workers, tape, pcm_tone, tmp_path, new_counting
):
    now_s = 0.0
    counting = new_counting(store)
    bucket = Bucket(counting, metrics, workers, clock=lambda: now_s)
    await tape.record(pcm_tone(2))
    (name,) = await tape.put(0, 3)
    path = tmp_path / "store" / name
    good = path.read_bytes()
    broken = bytearray(good)
    broken[-200] ^= 1
    path.write_bytes(broken)
    (stored,) = await bucket.objects("user-1", "conv-1")
    with pytest.raises(UnreadableError):
        await bucket.batch(stored)
    for wanted in ("not_a_batch", "not_a_batch"):  # its head looks well, and is not believed again
        assert [row.reason for row in await bucket.objects("user-1", "conv-1")] == [wanted]
        now_s += 61
    path.write_bytes(good)
    (row,) = await bucket.objects("user-1", "conv-1")
    assert row == stored
    asked = list(counting.asked)
    now_s += 1000
    assert await bucket.objects("user-1", "conv-1") == [stored]
    assert counting.asked == asked
    assert metrics.unreadable["not_a_batch"]._value.get() == 1


async def test_what_is_too_large_is_so_at_the_first_look(bucket, counting, store, tmp_path):
    folder = tmp_path / "store" / FOLDER
    folder.mkdir(parents=True)
    for name, size in (("1.000.bin", 64 * 2**20 + 2), ("9000.000.batch.bin", 3 * 2**30)):
        with (folder / name).open("wb") as file:
            file.truncate(size)  # sparse
    rows = await bucket.objects("user-1", "conv-1")
    assert [(row.reason, row.pieces) for row in rows] == [("too_large", [])] * 2
    assert rows[0].end_48k - rows[0].start_48k == (32 * 2**20 + 1) * 3
    assert rows[1].end_48k - rows[1].start_48k == MAX_NAMED_MS * 48
    assert counting.asked == ["get_range"]
