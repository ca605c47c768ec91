"""What an object says of itself."""

import dataclasses

import pytest

from audiostore.key_ring import KeyRing
from audiostore.store import ObjectInfo
from pusher.batch_builder import build
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
