"""Store, then finish: the order, and every outcome."""

import os
from dataclasses import replace

import pytest

from audiobus import Cut
from audiobus.cut import VERSION
from audiostore.errors import TransientStoreError
from audiostore.key_ring import KeyRing
from audiostore.names import BatchName
from audiostore.sealing import CONTENT_TYPE
from pusher.batch_builder import build
from pusher.errors import CannotTellError, UnsealedError
from pusher.maker import Maker
from pusher.store_put import Outcome, Prepared, store_then_finish


class Noted:
    """Notes in which order bus and store are called."""

    def __init__(self, real, calls: list[str]) -> None:
        self._real = real
        self._calls = calls

    def __getattr__(self, name):
        found = getattr(self._real, name)
        if name not in {"put", "delete", "marks", "finish"}:
            return found

        async def noted(*args, **kwargs):
            self._calls.append(name)
            return await found(*args, **kwargs)

        return noted


@pytest.fixture
async def prepared(device, bus, conversation, maker):
    return await prepare(device, bus, conversation, maker, sealed=False)


@pytest.fixture
async def sealed(device, bus, conversation, maker):
    return await prepare(device, bus, conversation, maker, sealed=True)


@pytest.fixture
async def maker(keys):
    maker = Maker(keys)
    yield maker
    await maker.close()


async def prepare(device, bus, conversation, maker, *, sealed):
    await device.open()
    entries = list(device.session.speech(5))
    for one in entries:
        await device.append(one)
    built = await maker.make(conversation, entries, None, (), sealed=sealed)
    span = built.batch.spans[0]
    name = BatchName(*conversation, span.start_ms, span.end_ms, sealed=sealed).path
    epoch = entries[0].id.epoch
    cut = Cut(VERSION, f"{epoch}-0", str(entries[-1].id), name, "enhanced" if sealed else "standard", "end")
    await bus.cut(conversation, cut, settled=None)
    return Prepared(conversation, cut, cut.encode(), built, maker.keys.ring())


async def test_the_entries_go_only_after_the_object_is_there(bus, store, prepared, clock, packets_of):
    calls: list[str] = []
    outcome = await store_then_finish(Noted(bus, calls), Noted(store, calls), prepared, clock())
    assert outcome is Outcome.STORED
    assert calls == ["marks", "put", "marks", "finish"]
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


# Sealed objects.


async def test_a_sealed_object_is_stored_as_one(bus, store, sealed, clock, packets_of):
    types = []

    class Types:
        def __getattr__(self, name):
            return getattr(store, name)

        async def put(self, *args, content_type, **kwargs):
            types.append(content_type)
            return await store.put(*args, content_type=content_type, **kwargs)

    assert await store_then_finish(bus, Types(), sealed, clock()) is Outcome.STORED
    assert types == [CONTENT_TYPE]
    assert (await store.get(sealed.cut.name)).startswith(b"TDSEAL01")
    assert len(await packets_of(store)) == 250


async def test_the_same_runs_under_another_key_are_found(
    bus, store, sealed, clock, maker, new_keys, packets_of
):
    """The object lies there, the reply was lost, and the keys were rotated before the next try."""
    await store.put(
        sealed.cut.name, sealed.built.data, content_type=CONTENT_TYPE, metadata=sealed.built.metadata
    )
    maker.keys = new_keys("k3", "k2")
    again = maker._seal(sealed.conversation, build_of(sealed))
    retried = replace(sealed, built=again, ring=maker.keys.ring())
    assert again.data != sealed.built.data
    assert await store_then_finish(bus, store, retried, clock()) is Outcome.FOUND
    assert await store.get(sealed.cut.name) == sealed.built.data
    assert len(await packets_of(store)) == 250


def build_of(sealed):
    return replace(sealed.built, data=b"OggS, built again")


async def test_without_the_key_of_what_lies_there_nothing_is_settled(
    bus, store, store_url, sealed, clock, new_keys, monkeypatch
):
    monkeypatch.delattr(os, "setxattr", raising=False)  # a file system that keeps no metadata
    await store.put(
        sealed.cut.name, sealed.built.data, content_type=CONTENT_TYPE, metadata=sealed.built.metadata
    )
    retried = replace(sealed, ring=new_keys("k3").ring())
    if store_url == "memory:":
        # Metadata tell.
        assert await store_then_finish(bus, store, retried, clock()) is Outcome.FOUND
        return
    with pytest.raises(CannotTellError):
        await store_then_finish(bus, store, retried, clock())
    assert (await bus.state(sealed.conversation)).cut == sealed.raw
    assert await store_then_finish(bus, store, sealed, clock()) is Outcome.FOUND


async def test_nothing_goes_out_in_the_clear_under_a_sealed_name(bus, store, sealed, clock):
    clear = replace(sealed, built=replace(sealed.built, data=b"OggS in the clear"))
    with pytest.raises(UnsealedError):
        await store_then_finish(bus, store, clear, clock())
    assert [info async for info in store.list("chunks/")] == []
    assert (await bus.state(sealed.conversation)).cut == sealed.raw
