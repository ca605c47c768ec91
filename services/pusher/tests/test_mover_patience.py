"""What looks damaged at home is left alone, told, and looked at again in the next sweep."""

import dataclasses
import json
import logging

import pytest

from audiostore import open_store
from audiostore.errors import ChecksumError
from audiostore.names import CONTENT_TYPE, BatchName
from pusher.batch_builder import build
from pusher.mover import Mover
from servicekit.logs import JsonFormatter


class Garbles:
    """A store that never gives what lies under one name, as it was put there."""

    def __init__(self, real, name) -> None:
        self._real, self._name = real, name

    def __getattr__(self, name):
        return getattr(self._real, name)

    async def get(self, name):
        if name == self._name:
            raise ChecksumError("the bytes that came do not have the checksum that the bucket names")
        return await self._real.get(name)

    async def head(self, name):
        return dataclasses.replace(await self._real.head(name), claimed=True)


async def names(store):
    return [info.name async for info in store.list("chunks/")]


@pytest.fixture
def batch(new_session, conversation, clock):
    session = new_session()
    session.begin(clock())
    built = build(conversation.cid, list(session.speech(10)), None)
    start_ms, end_ms = built.batch.spans[0].start_ms, built.batch.spans[-1].end_ms
    return BatchName(*conversation, start_ms, end_ms), built.data, built.metadata


async def test_what_looks_damaged_at_home_is_told_and_looked_at_again(
    *, bus, new_buckets, keys, metrics, batch, caplog, clock
):
    first, second = open_store("memory:"), open_store("memory:")
    name, data, metadata = batch
    for store in (first, second):
        await store.put(name.path, data, content_type=CONTENT_TYPE, metadata=metadata)
    mover = Mover(bus, new_buckets(Garbles(first, name.path), second), keys, metrics, "pusher-1")
    for looks in (1, 2):
        caplog.clear()
        assert await mover.sweep(mover.buckets.second) == 1
        assert (await names(first), await names(second)) == ([name.path], [name.path])
        assert metrics.moved_home["damaged"]._value.get() == looks
        told = [
            record.error
            for record in caplog.records
            if (record.name, record.levelno) == ("pusher.mover", logging.ERROR)
        ]
        assert len(told) == 1
        assert "only then delete the one in the first" in told[0]
        assert name.uid not in told[0]
        clock.pass_s(30)
    assert metrics.fallback_objects._value.get() == 1
    # It was only read so.
    mover = Mover(bus, new_buckets(first, second), keys, metrics, "pusher-1")
    assert await mover.sweep(mover.buckets.second) == 0
    assert (await names(first), await names(second)) == ([name.path], [])
    assert metrics.moved_home["found"]._value.get() == 1


async def test_what_an_operator_has_deleted_then_moves_by_itself(
    *, bus, new_buckets, keys, metrics, batch, clock
):
    first, second = open_store("memory:"), open_store("memory:")
    name, data, metadata = batch
    await first.put(name.path, data[:2000] + bytes(9), content_type=CONTENT_TYPE, metadata=metadata)
    await second.put(name.path, data, content_type=CONTENT_TYPE, metadata=metadata)
    mover = Mover(bus, new_buckets(first, second), keys, metrics, "pusher-1")
    assert await mover.sweep(mover.buckets.second) == 1
    await first.delete(name.path)
    clock.pass_s(15)
    assert await mover.sweep(mover.buckets.second) == 0
    assert (await first.get(name.path), await names(second)) == (data, [])


async def test_the_log_says_of_which_conversation_without_its_user(
    *, bus, new_buckets, keys, metrics, batch, monkeypatch
):
    lines = []

    class Lines(logging.Handler):
        def emit(self, record):
            lines.append(self.format(record))

    handler = Lines()
    handler.setFormatter(JsonFormatter("pusher"))
    monkeypatch.setattr(logging.getLogger("pusher.mover"), "handlers", [handler])
    first, second = open_store("memory:"), open_store("memory:")
    name, data, metadata = batch
    await first.put(name.path, data[:2000] + bytes(9), content_type=CONTENT_TYPE, metadata=metadata)
    await second.put(name.path, data, content_type=CONTENT_TYPE, metadata=metadata)
    mover = Mover(bus, new_buckets(first, second), keys, metrics, "pusher-1")
    assert await mover.sweep(mover.buckets.second) == 1
    [told] = [line for line in map(json.loads, lines) if line["severity"] == "ERROR"]
    assert told["conversation_id"] == name.conversation_id
    assert name.path.endswith(told["object"])
    assert not [line for line in lines if f"/{name.uid}/" in line or f'"{name.uid}"' in line]
