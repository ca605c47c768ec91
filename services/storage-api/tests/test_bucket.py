"""The bucket as a reader sees it."""

import pytest

from audiostore import open_store
from audiostore.errors import StoreError, TransientStoreError
from audiostore.names import CONTENT_TYPE
from servicekit.metrics import Metrics
from storage_api.bucket import Bucket
from storage_api.errors import SourceGoneError, UnreadableError, log_text
from storage_api.metrics import StorageMetrics
from storage_api.workers import Workers


class Counting:
    """A store that counts what it is asked for, and fails as often as it is told."""

    def __init__(self, store) -> None:
        self._store = store
        self.asked: list[str] = []
        self.failures = 0

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def get_range(self, name, start, end):
        self.asked.append("get_range")
        self._fail()
        return await self._store.get_range(name, start, end)

    async def get(self, name):
        self.asked.append("get")
        self._fail()
        return await self._store.get(name)

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise TransientStoreError("the store is away")


@pytest.fixture
def counting(store):
    return Counting(store)


@pytest.fixture
def metrics():
    return StorageMetrics(Metrics("storage-api", "test"))


@pytest.fixture
def workers():
    made = Workers()
    yield made
    made.close()


@pytest.fixture
def bucket(counting, metrics, workers):
    return Bucket(counting, metrics, workers)


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


async def test_metadata_spares_looking(tape, pcm_tone, metrics, workers):
    memory = Counting(open_store("memory:"))
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


async def test_reads_are_tried_again_and_then_given_up(bucket, counting, tape, pcm_tone):
    await tape.record(pcm_tone(1))
    await tape.put(0, 1)
    counting.failures = 2
    (stored,) = await bucket.objects("user-1", "conv-1")
    assert counting.asked == ["get_range"] * 3
    counting.failures = 3
    with pytest.raises(StoreError):
        await bucket.batch(stored)


async def test_what_cannot_be_read_is_a_row_with_its_reason_and_counted(bucket, store, metrics):
    folder = "chunks/user-1/conv-1/"
    for name, data in (
        ("1.000-2.000.batch.bin", b"OggS, and then nothing of ours"),
        ("3.000-4.000.batch.enc", b"TDSEAL01\2k1" + bytes(100)),
        ("5.000-6.000.batch.enc", b"TDSEAL01"),
        ("7.000-8.000.batch.bin", b""),
        ("9.000-9.500.batch.enc", b"sealed in an older format"),
        ("notes.txt", b"no audio at all"),
    ):
        await store.put(folder + name, data, content_type="x/y", metadata={})
    rows = await bucket.objects("user-1", "conv-1")
    assert [row.reason for row in rows] == ["not_a_batch", "no_key", "damaged", "damaged", "no_key"]
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
    assert (await bucket._look(rows[0].name, rows[0].info)).reason == "not_a_batch"
    for _ in range(2):
        again = await bucket.objects("user-1", "conv-1")
        assert [row.reason for row in again] == ["not_a_batch", None, None, None]


async def test_what_is_gone_says_so(bucket, tape, pcm_tone):
    await tape.record(pcm_tone(1))
    (name,) = await tape.put(0, 1)
    (stored,) = await bucket.objects("user-1", "conv-1")
    await tape.store.delete(name)
    with pytest.raises(SourceGoneError):
        await bucket.batch(stored)
    assert await bucket.objects("user-1", "conv-1") == []


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
    assert len(bucket._verdicts._known) == 2
    assert len(await bucket.objects("user-1", "conv-1")) == 4


def test_a_users_id_stays_out_of_the_logs():
    error = StoreError("get chunks/somebody/conv/1.000-2.000.batch.bin: permission denied")
    assert log_text(error) == "get chunks/…/conv/1.000-2.000.batch.bin: permission denied"
