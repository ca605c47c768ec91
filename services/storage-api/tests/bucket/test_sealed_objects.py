"""Sealed objects, with keys that come, go and change."""

import base64

import pytest

from audiostore import open_store, sealing
from audiostore.key_ring import KeyRing, KeySource
from storage_api.bucket import Bucket
from storage_api.keys import Keys

FOLDER = "chunks/user-1/conv-1/"


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
    tape, pcm_tone, metrics, workers, tmp_path, with_metadata, new_counting
):
    memory = new_counting(open_store("memory:"))
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
