"""What counts as whole: bytes, whatever metadata and tags say."""

import dataclasses

import pytest

from audiostore.errors import ChecksumError, NotFoundError
from audiostore.facts import KEY
from audiostore.names import CONTENT_TYPE, BatchName
from audiostore.sealing import seal, sealed_key_id
from audiostore.store import ObjectInfo
from pusher.batch_builder import build
from pusher.errors import CannotTellError
from pusher.object_facts import same_runs
from pusher.wholeness import is_just, whole_batch


@pytest.fixture
def built(new_session, clock, conversation):
    session = new_session()
    session.begin(clock())
    return build(conversation.cid, list(session.speech(4)), None)


@pytest.fixture
def name(built, conversation):
    spans = built.batch.spans
    return BatchName(*conversation, spans[0].start_ms, spans[-1].end_ms)


async def put(store, name, data, metadata):
    await store.put(name.path, data, content_type=CONTENT_TYPE, metadata=metadata)
    return await store.head(name.path)


@pytest.mark.parametrize("sealed", [False, True], ids=["plain", "sealed"])
async def test_what_was_sent_is_whole(*, store, ring, built, name, conversation, sealed):
    name = dataclasses.replace(name, sealed=sealed)
    data = seal(built.data, ring, conversation.uid) if sealed else built.data
    info = await put(store, name, data, built.metadata)
    assert is_just(info, data)
    assert same_runs(await whole_batch(store, info, ring), built.batch)


@pytest.mark.parametrize("sealed", [False, True], ids=["plain", "sealed"])
@pytest.mark.parametrize("damage", ["zeros", "cut short", "a bit", "nothing", "longer"])
async def test_what_is_damaged_is_not(*, store, ring, built, name, conversation, sealed, damage):
    name = dataclasses.replace(name, sealed=sealed)
    data = seal(built.data, ring, conversation.uid) if sealed else built.data
    there = {
        "zeros": data[:2000] + bytes(len(data) - 2000),
        "cut short": data[:-1],
        "a bit": data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
        "nothing": b"",
        "longer": data + data[-100:],
    }[damage]
    info = await put(store, name, there, built.metadata)
    assert not is_just(info, data)
    assert await whole_batch(store, info, ring) is None


async def test_a_whole_file_that_its_metadata_do_not_mean_is_not(memory_store, ring, built, name):
    metadata = {**built.metadata, "tapedeck-sha256": "0" * 64}
    assert await whole_batch(memory_store, await put(memory_store, name, built.data, metadata), ring) is None


async def test_a_file_of_another_time_is_not(store, ring, built, name):
    moved = dataclasses.replace(name, start_ms=name.start_ms - 5)
    assert await whole_batch(store, await put(store, moved, built.data, built.metadata), ring) is None


async def test_a_checksum_that_nobody_compared_proves_nothing(memory_store, built, name):
    info = await put(memory_store, name, built.data, built.metadata)
    assert not is_just(dataclasses.replace(info, claimed=True), built.data)


async def test_what_cannot_be_fetched_as_it_was_stored_is_not(memory_store, ring, built, name):
    info = await put(memory_store, name, built.data, built.metadata)

    class Differs:
        async def get(self, name):
            raise ChecksumError(f"get {name}: other bytes")

    assert await whole_batch(Differs(), info, ring) is None


@pytest.mark.parametrize("how", ["wrong checksum", "other bytes"])
async def test_one_read_that_was_spoilt_on_its_way_proves_nothing(memory_store, ring, built, name, how):
    """A folder compares no checksums: there the bytes are just others."""
    info = await put(memory_store, name, built.data, built.metadata)

    class SpoiltOnce:
        spoilt = False

        async def get(self, name):
            data = await memory_store.get(name)
            if self.spoilt:
                return data
            self.spoilt = True
            if how == "wrong checksum":
                raise ChecksumError(f"get {name}: other bytes")
            return data[:-200] + bytes(200)

    assert same_runs(await whole_batch(SpoiltOnce(), info, ring), built.batch)


async def test_nothing_is_said_where_nobody_can_tell(store, built, name, conversation, ring, new_keys):
    sealed = dataclasses.replace(name, sealed=True)
    info = await put(store, sealed, seal(built.data, ring, conversation.uid), built.metadata)
    with pytest.raises(CannotTellError):
        await whole_batch(store, info, new_keys("k1").ring())
    with pytest.raises(NotFoundError):
        await whole_batch(store, ObjectInfo(name.path, 1, None, None), ring)
    other = await store.put("chunks/notes.txt", b"x", content_type="text/plain", metadata={})
    assert await whole_batch(store, other, ring) is None


async def test_a_key_that_only_a_damaged_header_names_is_not_missed(store, ring, built, name, conversation):
    """One bit of the key's id, where it lies in the file: no key of that id will ever be put back."""
    name = dataclasses.replace(name, sealed=True)
    data = seal(built.data, ring, conversation.uid)
    at = data.index(sealed_key_id(data).encode())
    there = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    silent = await put(store, name, there, built.metadata)
    with pytest.raises(CannotTellError):
        await whole_batch(store, silent, ring)
    info = dataclasses.replace(silent, metadata={**built.metadata, KEY: sealed_key_id(data)})
    assert await whole_batch(store, info, ring) is None
