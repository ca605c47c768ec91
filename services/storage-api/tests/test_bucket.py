"""The bucket as a reader sees it."""

import base64

import pytest

from audiostore import open_store, sealing
from audiostore.errors import StoreError, TransientStoreError
from audiostore.key_ring import KeyRing, KeySource
from audiostore.names import CONTENT_TYPE
from servicekit.metrics import Metrics
from storage_api.bucket import Bucket
from storage_api.errors import SourceGoneError, UnreadableError, log_text
from storage_api.keys import Keys
from storage_api.metrics import StorageMetrics
from storage_api.stored_object import MAX_NAMED_MS
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
    listed = [(name, info) async for name, info in bucket.names("user-1")]
    await store.delete(FOLDER + "1.000.opus")
    assert await bucket.with_facts(listed) == []


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


async def test_large_older_objects_are_read_one_after_another(store, metrics, workers, monkeypatch):
    monkeypatch.setattr("storage_api.bucket.LARGE_BYTES", 10)
    at_once = most = 0

    class Slow(Counting):
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


class Sealed:
    """Sealed objects of ours, and a ring that can be changed."""

    def __init__(self, store, tape, pcm_tone, folder) -> None:
        self.store, self.tape, self.pcm_tone = store, tape, pcm_tone
        self.path = folder / "ring"
        self.keep("k1")
        self.clock = 0.0
        self.source = KeySource(path=self.path, clock=lambda: self.clock)

    def keep(self, *ids: str) -> None:
        keys = {"k1": bytes(range(32)), "k2": bytes(range(1, 33))}
        self.path.write_text(",".join(f"{one}:{base64.b64encode(keys[one]).decode()}" for one in ids))

    async def put(self, *, with_metadata: bool) -> str:
        """A batch of 2 s, sealed with the ring's first key."""
        await self.tape.record(self.pcm_tone(2))
        plain = open_store("memory:")
        self.tape.store = plain
        (name,) = await self.tape.put(0, 3)
        info = await plain.head(name)
        data = sealing.seal(await plain.get(name), self.source.ring(), "user-1")
        sealed = name.replace(".bin", ".enc")
        metadata = info.metadata if with_metadata else {}
        await self.store.put(sealed, data, content_type=sealing.CONTENT_TYPE, metadata=metadata)
        return sealed


@pytest.mark.parametrize("with_metadata", [False, True])
async def test_ours_sealed_is_known_by_its_head_and_opened_whole(
    tape, pcm_tone, metrics, workers, tmp_path, with_metadata
):
    memory = Counting(open_store("memory:"))
    sealed = Sealed(memory, tape, pcm_tone, tmp_path)
    await sealed.put(with_metadata=with_metadata)
    bucket = Bucket(memory, metrics, workers, Keys(sealed.source))
    (row,) = await bucket.objects("user-1", "conv-1")
    assert (row.reason, row.verdict.facts.samples) == (None, 2 * 48_000)
    batch = await bucket.batch(row)
    assert [span.samples for span in batch.spans] == [2 * 48_000]
    assert memory.asked == ["get_range", "get"]


@pytest.mark.parametrize("with_metadata", [False, True])
async def test_what_had_no_key_opens_once_the_ring_has_it(
    tape, pcm_tone, metrics, workers, tmp_path, with_metadata
):
    memory = open_store("memory:")
    sealed = Sealed(memory, tape, pcm_tone, tmp_path)
    await sealed.put(with_metadata=with_metadata)
    sealed.keep("k2")
    sealed.clock += 10
    bucket = Bucket(memory, metrics, workers, Keys(sealed.source))
    for _ in range(2):
        (row,) = await bucket.objects("user-1", "conv-1")
        assert row.reason == "no_key"
        assert row.end_48k - row.start_48k == 2 * 48_000
    assert metrics.unreadable["no_key"]._value.get() == 1
    sealed.keep("k2", "k1")
    sealed.clock += 10
    (row,) = await bucket.objects("user-1", "conv-1")
    assert row.reason is None
    assert (await bucket.batch(row)).spans


async def test_a_sealed_object_that_was_changed_or_moved_is_damaged(
    tape, pcm_tone, metrics, workers, tmp_path
):
    memory = open_store("memory:")
    sealed = Sealed(memory, tape, pcm_tone, tmp_path)
    name = await sealed.put(with_metadata=False)
    data = await memory.get(name)
    moved = FOLDER + "1700000300.000-1700000302.000.batch.enc"
    await memory.put(moved, data, content_type="x/y", metadata={})
    await memory.delete(name)
    await memory.put(name, data[:-1] + bytes((data[-1] ^ 1,)), content_type="x/y", metadata={})
    bucket = Bucket(memory, metrics, workers, Keys(sealed.source))
    rows = await bucket.objects("user-1", "conv-1")
    assert [row.reason for row in rows] == ["damaged", "damaged"]
    assert rows[1].start_48k == 1_700_000_300_000 * 48


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


def test_a_users_id_stays_out_of_the_logs():
    error = StoreError("get chunks/somebody/conv/1.000-2.000.batch.bin: permission denied")
    assert log_text(error) == "get chunks/…/conv/1.000-2.000.batch.bin: permission denied"


async def test_a_broken_object_that_a_good_one_replaces_is_read_again_after_a_while(
    store, metrics, workers, tape, pcm_tone, tmp_path
):
    now_s = 0.0
    counting = Counting(store)
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


@pytest.mark.parametrize("scheme", ["file", "memory"])
async def test_a_key_that_is_put_right_under_its_id_opens_what_it_could_not(
    scheme, metrics, workers, tape, pcm_tone, tmp_path
):
    now_s = 0.0
    plain, sealed = open_store("memory:"), open_store(f"{scheme}:" + f"//{tmp_path}/s" * (scheme == "file"))
    tape.store = plain
    await tape.record(pcm_tone(2))
    (name,) = await tape.put(0, 3)
    right, wrong = (f"k1:{base64.b64encode(bytes([one]) * 32).decode()}" for one in (1, 2))
    data = sealing.seal(await plain.get(name), KeyRing.parse(right), "user-1")
    await sealed.put(name.removesuffix("bin") + "enc", data, content_type="x/y", metadata={})
    file = tmp_path / "keys"
    file.write_text(wrong)
    source = KeySource(path=file, clock=lambda: now_s)
    bucket = Bucket(sealed, metrics, workers, Keys(source), clock=lambda: 0.0)
    assert [row.reason for row in await bucket.objects("user-1", "conv-1")] == ["damaged"]
    file.unlink()
    file.write_text(right + "\n")
    now_s += 2
    (row,) = await bucket.objects("user-1", "conv-1")
    assert row.reason is None
    assert len((await bucket.batch(row)).spans) == 1


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
