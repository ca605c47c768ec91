"""Store, then finish: the order, and every outcome."""

import pytest

from audiobus import Cut
from audiobus.cut import VERSION
from audiostore.errors import TransientStoreError
from audiostore.key_ring import KeyRing
from audiostore.names import BatchName
from pusher.batch_builder import build
from pusher.store_put import Outcome, Prepared, store_then_finish


class Noted:
    """Notes in which order bus and store are called."""

    def __init__(self, real, calls: list[str]) -> None:
        self._real = real
        self._calls = calls

    def __getattr__(self, name):
        found = getattr(self._real, name)
        if name not in {"put", "delete", "tombstone", "finish"}:
            return found

        async def noted(*args, **kwargs):
            self._calls.append(name)
            return await found(*args, **kwargs)

        return noted


@pytest.fixture
async def prepared(device, bus, conversation):
    await device.open()
    entries = list(device.session.speech(5))
    for one in entries:
        await device.append(one)
    built = build(conversation.cid, entries, None)
    span = built.batch.spans[0]
    name = BatchName(*conversation, span.start_ms, span.end_ms).path
    epoch = entries[0].id.epoch
    cut = Cut(VERSION, f"{epoch}-0", str(entries[-1].id), name, "standard", "end")
    await bus.cut(conversation, cut, settled=None)
    return Prepared(conversation, cut, cut.encode(), built, KeyRing.empty)


async def test_the_entries_go_only_after_the_object_is_there(bus, store, prepared, clock, packets_of):
    calls: list[str] = []
    outcome = await store_then_finish(Noted(bus, calls), Noted(store, calls), prepared, clock())
    assert outcome is Outcome.STORED
    assert calls == ["tombstone", "put", "tombstone", "finish"]
    assert len(await packets_of(store)) == 250
    assert (await bus.state(prepared.conversation)).settled == prepared.cut.last_id


async def test_a_failed_put_settles_nothing(bus, memory_store, prepared, clock, failing_store):
    failing = failing_store(memory_store, [TransientStoreError("away")])
    with pytest.raises(TransientStoreError):
        await store_then_finish(bus, failing, prepared, clock())
    assert (await bus.state(prepared.conversation)).settled is None
    assert len(await bus.read(prepared.conversation, count=10)) == 6


async def test_the_same_object_is_success_another_is_not(bus, store, prepared, clock):
    other = Prepared(prepared.conversation, prepared.cut, prepared.raw, prepared.built, KeyRing.empty)
    await store.put(
        prepared.cut.name, prepared.built.data, content_type="audio/ogg", metadata=prepared.built.metadata
    )
    assert await store_then_finish(bus, store, prepared, clock()) is Outcome.FOUND
    # Its entries are gone; the cut no longer stands.
    assert await store_then_finish(bus, store, other, clock()) is Outcome.OVERTAKEN


async def test_a_taken_name_settles_nothing(bus, store, prepared, clock):
    await store.put(prepared.cut.name, b"other", content_type="audio/ogg", metadata={})
    assert await store_then_finish(bus, store, prepared, clock()) is Outcome.TAKEN
    assert (await bus.state(prepared.conversation)).cut == prepared.raw
    assert await store.get(prepared.cut.name) == b"other"


async def test_under_a_tombstone_nothing_is_put(bus, store, prepared, clock):
    await bus.command("SET", bus.keys.tomb(prepared.conversation), "1")
    calls: list[str] = []
    assert await store_then_finish(bus, Noted(store, calls), prepared, clock()) is Outcome.DELETED
    assert calls == []
    assert (await bus.state(prepared.conversation)).cut == prepared.raw


async def test_nothing_to_put_is_settled_without_the_store(bus, device, conversation, clock):
    await device.open()
    epoch = device.session.newest.epoch
    cut = Cut(VERSION, f"{epoch}-0", f"{epoch}-0", "", "standard", "idle")
    await bus.cut(conversation, cut, settled=None)
    built = build(conversation.cid, [device.session.begin(epoch)], None)
    prepared = Prepared(conversation, cut, cut.encode(), built, KeyRing.empty)
    assert await store_then_finish(bus, None, prepared, clock()) is Outcome.NOTHING_TO_PUT
    assert (await bus.state(conversation)).settled == cut.last_id
