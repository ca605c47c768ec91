"""What an object says of itself."""

import dataclasses

import pytest

from audiostore import open_store, sealing
from audiostore.errors import ChecksumError, TooLargeError
from audiostore.key_ring import KeyRing
from audiostore.names import BatchName
from audiostore.store import ObjectInfo
from pusher.batch_builder import build
from pusher.errors import CannotTellError
from pusher.object_facts import object_facts, same_runs


@pytest.fixture
def built(new_session, clock, conversation):
    session = new_session()
    session.begin(clock())
    entries = list(session.speech(2, end=True))
    clock.pass_s(1)
    session.begin_run()
    return build(conversation.cid, [*entries, *session.speech(2)], None)


async def test_the_same_runs_are_known_on_every_backend(store, built):
    await store.put("chunks/u/c/x", built.data, content_type="audio/ogg", metadata=built.metadata)
    facts = await object_facts(store, await store.head("chunks/u/c/x"), KeyRing.empty)
    assert same_runs(facts, built.batch)


@pytest.mark.parametrize(
    "fields", [{"epoch": 1}, {"end_offset": 10_001}, {"first_offset": 1}, {"samples": 5}, {"first_sample": 5}]
)
async def test_any_difference_makes_them_other_runs(store, built, fields):
    await store.put("chunks/u/c/x", built.data, content_type="audio/ogg", metadata=built.metadata)
    facts = await object_facts(store, await store.head("chunks/u/c/x"), KeyRing.empty)
    first, *rest = built.batch.spans
    other = dataclasses.replace(built.batch, spans=(dataclasses.replace(first, **fields), *rest))
    assert not same_runs(facts, other)
    assert not same_runs(facts, dataclasses.replace(built.batch, spans=(first,)))
    assert not same_runs(facts, dataclasses.replace(built.batch, conversation_id="another"))


@pytest.mark.parametrize("data", [b"", b"RIFF....WAVE", b"OggS" + bytes(100)])
async def test_what_is_no_batch_has_no_facts(store, data, built):
    await store.put("chunks/u/c/x", data, content_type="audio/wav", metadata={})
    assert await object_facts(store, await store.head("chunks/u/c/x"), KeyRing.empty) is None
    assert not same_runs(None, built.batch)


async def test_what_is_gone_has_no_facts(store):
    assert await object_facts(store, ObjectInfo("chunks/u/c/x", 1, None, None), KeyRing.empty) is None


async def test_damaged_metadata_is_not_believed(memory_store, built):
    metadata = {**built.metadata, "tapedeck-runs": "nonsense"}
    await memory_store.put("chunks/u/c/x", built.data, content_type="audio/ogg", metadata=metadata)
    assert await object_facts(memory_store, await memory_store.head("chunks/u/c/x"), KeyRing.empty) is None


class Misreads:
    """A store whose ranges come wrong, and whose checked reads find that they do, so many times."""

    def __init__(self, real, times: int) -> None:
        self._real, self.times = real, times

    def __getattr__(self, name):
        return getattr(self._real, name)

    async def get_range(self, name, start, end):
        return bytes(len(await self._real.get_range(name, start, end)))

    async def get(self, name):
        self.times -= 1
        if self.times >= 0:
            raise ChecksumError(f"get {name}: other bytes")
        return await self._real.get(name)


@pytest.mark.parametrize(("times", "known"), [(0, True), (1, True), (2, False)])
async def test_what_was_misread_is_read_again_and_what_is_damaged_has_no_facts(
    memory_store, built, times, known
):
    await memory_store.put("chunks/u/c/x", built.data, content_type="audio/ogg", metadata={})
    info = await memory_store.head("chunks/u/c/x")
    facts = await object_facts(Misreads(memory_store, times), info, KeyRing.empty)
    assert same_runs(facts, built.batch) == known


async def test_what_is_no_batch_and_too_large_for_one_has_no_facts(memory_store):
    await memory_store.put("chunks/u/c/x", b"RIFF....WAVE", content_type="audio/wav", metadata={})

    class Large(Misreads):
        async def get(self, name):
            raise TooLargeError(f"{name} is more than is moved in one piece")

    assert (
        await object_facts(Large(memory_store, 0), await memory_store.head("chunks/u/c/x"), KeyRing.empty)
        is None
    )


# Sealed objects. A folder keeps no metadata: only the sealed head can tell.


@pytest.fixture
async def folder(tmp_path):
    store = open_store(f"file://{tmp_path}/folder")
    yield store
    await store.close()


@pytest.fixture
def sealed_name(built, conversation):
    return BatchName(*conversation, built.batch.spans[0].start_ms, built.batch.spans[-1].end_ms, sealed=True)


async def put(store, name, data, metadata):
    await store.put(name.path, data, content_type=sealing.CONTENT_TYPE, metadata=metadata)
    return await store.head(name.path)


async def test_a_sealed_objects_runs_are_known_on_every_backend(store, built, sealed_name, keys):
    data = sealing.seal(built.data, keys.ring(), sealed_name.uid)
    info = await put(store, sealed_name, data, built.metadata)
    assert same_runs(await object_facts(store, info, keys.ring()), built.batch)


async def test_metadata_tells_without_the_key_where_it_is_kept(memory_store, built, sealed_name, keys):
    data = sealing.seal(built.data, keys.ring(), sealed_name.uid)
    info = await put(memory_store, sealed_name, data, built.metadata)
    assert same_runs(await object_facts(memory_store, info, KeyRing.empty), built.batch)


async def test_where_only_a_missing_key_could_tell_nobody_guesses(folder, built, sealed_name, keys, new_keys):
    data = sealing.seal(built.data, new_keys("k1").ring(), sealed_name.uid)
    info = await put(folder, sealed_name, data, {})
    with pytest.raises(CannotTellError, match=r"'k1'.*put the key back"):
        await object_facts(folder, info, new_keys("k2").ring())
    assert same_runs(await object_facts(folder, info, keys.ring()), built.batch)


async def test_what_nobody_can_open_any_more_has_no_facts(folder, built, sealed_name, keys, conversation):
    ring = keys.ring()
    good = sealing.seal(built.data, ring, sealed_name.uid)
    broken = [
        good[:-1] + bytes([good[-1] ^ 1]),
        good[:100],
        b"",
        b"OggS" + bytes(100),
        bytes(200),  # as an older format begins
        sealing.seal(built.data, ring, "bob"),
        sealing.seal(b"no batch", ring, sealed_name.uid),
    ]
    for number, data in enumerate(broken):
        name = dataclasses.replace(sealed_name, end_ms=sealed_name.end_ms + number)
        assert await object_facts(folder, await put(folder, name, data, {}), ring) is None
    moved = dataclasses.replace(sealed_name, start_ms=sealed_name.start_ms + 1)
    assert await object_facts(folder, await put(folder, moved, good, {}), ring) is None
    gone = ObjectInfo(dataclasses.replace(sealed_name, start_ms=5).path, 1, None, None)
    assert await object_facts(folder, gone, ring) is None
