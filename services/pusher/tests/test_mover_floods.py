"""Many damaged objects beside healthy ones: these move at once, and the log is not flooded."""

import dataclasses
import logging

import pytest

from audiobus.conversation import Conversation
from audiostore import open_store
from audiostore.errors import ChecksumError
from pusher.batch_builder import build
from pusher.circuit import OPENS_AFTER
from pusher.mover import Mover
from tapedeck_testing.draining.moving_home import Of, names, path_of, put

MANY = 300


class Bad(Of):
    """As az://: what lies under some names has not the checksum that its writer claimed."""

    def __init__(self, real, bad) -> None:
        super().__init__(real)
        self.bad = bad
        self.reads = 0

    async def get(self, name):
        self.reads += 1
        if name in self.bad:
            raise ChecksumError("the bytes that came do not have the checksum that the bucket names")
        return await self.real.get(name)

    async def head(self, name):
        return dataclasses.replace(await self.real.head(name), claimed=True)


@pytest.fixture
async def buckets_with(new_session, clock):
    """Damaged batches at home, or in the second bucket, and behind them four healthy ones: first, second, healthy names."""

    async def fill(where, count=MANY):
        first, second, bad, healthy = open_store("memory:"), open_store("memory:"), set(), []
        for number in range(count + 4):
            conversation = Conversation("alice", f"{number:04}")
            session = new_session(conversation)
            session.begin(clock())
            built = build(conversation.cid, list(session.speech(1)), None)
            path = path_of(conversation, built)
            await put(second, path, built.data, built.metadata)
            if number >= count:
                healthy.append(path)
                continue
            bad.add(path)
            if where == "first":
                await put(first, path, built.data, built.metadata)
        return (Bad(first, bad), second, healthy) if where == "first" else (first, Bad(second, bad), healthy)

    return fill


def told(caplog):
    return [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("where", ["first", "second"])
async def test_healthy_ones_move_at_once(
    *, bus, new_buckets, keys, metrics, clock, caplog, buckets_with, where
):
    first, second, healthy = await buckets_with(where)
    mover = Mover(bus, new_buckets(first, second), keys, metrics, "pusher-1")
    damaged = first if where == "first" else second
    assert await mover._turn(mover.buckets.second) == MANY
    assert not set(healthy) & set(await names(second))
    assert [bucket.circuit.opened for bucket in mover.buckets.all] == [0, 0]
    assert metrics.fallback_objects._value.get() == MANY
    assert len(told(caplog)) == MANY
    # The next look passes them over.
    caplog.clear()
    reads = damaged.reads
    assert await mover._turn(mover.buckets.second) == MANY
    assert (damaged.reads, told(caplog)) == (reads, [])
    assert metrics.fallback_objects._value.get() == MANY
    assert metrics.moved_home["damaged"]._value.get() == MANY
    # In an hour, with a look every 15 s: 15, 30, 60, … 900 s.
    for _ in range(240):
        clock.pass_s(15)
        await mover._turn(mover.buckets.second)
    assert metrics.moved_home["damaged"]._value.get() <= 10 * MANY


async def test_where_the_first_bucket_is_away_one_damaged_object_is_looked_at_in_each_turn(
    *, bus, new_buckets, keys, metrics, clock, buckets_with
):
    first, second, healthy = await buckets_with("second", 5)
    mover = Mover(bus, new_buckets(first, second), keys, metrics, "pusher-1")
    for _ in range(OPENS_AFTER):
        mover.buckets.first.circuit.failed(clock(), clock(), "away", operators=False)
    for turn in range(1, 6):
        clock.pass_s(2)
        await mover._turn(mover.buckets.second)
        assert metrics.moved_home["damaged"]._value.get() == turn
        assert not mover.buckets.well
    clock.pass_s(2)
    await mover._turn(mover.buckets.second)
    assert mover.buckets.well
    assert await names(first) == healthy[:1]
