"""Sealed batches stay sealed: with the ring's first key, and everything about them anew; what cannot be opened is not guessed at."""

import base64

import pytest

from audiostore import open_store, sealing
from audiostore.batch import BatchFile
from audiostore.key_ring import KeyRing, KeySource
from audiostore.sealed_batch import seal_batch
from storage_api.keys import Keys

K1, K2 = bytes(range(32)), bytes(range(1, 33))
OLD_RING = KeyRing({"k1": K1})


@pytest.fixture
async def sealed(tape, store, pcm_tone) -> list[str]:
    """Nine seconds, of which each batch is sealed with the key k1."""
    await tape.record(pcm_tone(9))
    plain = open_store("memory:")
    tape.store = plain
    names = []
    for first, last in ((0, 3), (3, 6), (6, len(tape.chunks))):
        [name] = await tape.drain(first, last)
        made = seal_batch(
            BatchFile(await plain.get(name), (await plain.head(name)).metadata), OLD_RING, "user-1"
        )
        names.append(name.replace(".bin", ".enc"))
        await store.put(names[-1], made.data, content_type=sealing.CONTENT_TYPE, metadata=made.metadata)
    return names


def ring_of(**keys: bytes) -> Keys:
    return Keys(KeySource(",".join(f"{name}:{base64.b64encode(key).decode()}" for name, key in keys.items())))


async def test_what_is_left_is_sealed_with_the_first_key(
    serve, one_bus, store, cutter, conversation, sealed, tmp_path, names, batches
):
    async with serve(one_bus, store, tmp_path, ring_of(k2=K2, k1=K1)) as api:
        before = await api.pcm(conversation)
        answer = await cutter.stretch(api, 4.0, 4.5)
        assert answer.json()["deleted_objects"] == 1
        left = await names(store, "chunks/")
        assert left[0] == sealed[0]
        assert left[2] == sealed[2]
        assert all(name.endswith(".batch.enc") for name in left)
        data = await store.get(left[1])
        assert sealing.sealed_key_id(data) == "k2"
        assert len(await batches(store, KeyRing({"k2": K2, "k1": K1}))) == 3
        after = await api.pcm(conversation)
        assert len(after) == len(before)
        assert not any(after[16_000 * 4 : 16_000 * 4 + 8_000])
        assert after[:60_000] == before[:60_000]
        await cutter.balance()


async def test_without_its_key_nothing_is_cut_out_of_a_batch(
    serve, one_bus, store, cutter, sealed, tmp_path, names
):
    async with serve(one_bus, store, tmp_path, ring_of(k2=K2)) as api:
        answer = await cutter.stretch(api, 2.0, 4.0)
        assert (answer.status_code, answer.json()["code"]) == (409, "unreadable")
        assert await names(store, "chunks/") == sealed
        assert (await cutter.balance()).deleted == 0
        # As a whole it needs no key: by its time, or within a stretch that covers it.
        assert (await cutter.chunks(api, 1.0)).json()["deleted_objects"] == 1
        assert (await cutter.stretch(api, 2.9, 6.1)).status_code == 409
        assert (await cutter.stretch(api, 2.9)).json()["deleted_objects"] == 2
        assert await names(store) == []


async def test_what_was_put_before_it_was_found_out_is_taken_away(
    serve, one_bus, store, cutter, conversation, sealed, tape_for, tmp_path, names, pcm_tone
):
    """The first batch can be cut, the second is damaged: nothing is changed, nor are dead letters of that time."""
    letters = one_bus.keys.dead(conversation)
    tape = tape_for(conversation)
    await tape.record(pcm_tone(3))
    [entry] = (await one_bus.read(conversation, count=9))[1:2]
    counted = entry.counted_samples
    assert await one_bus.bury(conversation, entry, reason="t", first_offset=0, samples=counted, now_ms=1)
    await tape.bus.command("DEL", one_bus.keys.audio(conversation))
    await one_bus.command("HINCRBY", one_bus.keys.conv(conversation), "out", 3 * 48_000 - counted)
    data = bytearray(await store.get(sealed[1]))
    data[-100] ^= 1
    info = await store.head(sealed[1])
    await store.delete(sealed[1])
    await store.put(sealed[1], bytes(data), content_type=sealing.CONTENT_TYPE, metadata=info.metadata or {})
    async with serve(one_bus, store, tmp_path, ring_of(k1=K1)) as api:
        assert (await cutter.stretch(api, 2.0, 4.0)).status_code == 409
        assert await names(store, "chunks/") == sealed
        assert (await cutter.balance()).deleted == 0
        assert await one_bus.command("HLEN", letters) == 1
        assert (await api.get(conversation)).status_code == 200
