"""Two pushers that have the two buckets the other way round: neither deletes what the other relies on."""

import logging

import pytest

from audiostore import open_store
from audiostore.names import CONTENT_TYPE, BatchName
from pusher.mover import Mover
from pusher.roles import KEPT_MS, Roles

A, B, C = "gs://a", "gs://b", "gs://c"


async def names(store):
    return [info.name async for info in store.list("chunks/")]


async def test_whoever_has_the_same_agrees(bus):
    for _ in range(3):
        roles = Roles(bus, A, B)
        assert await roles.agreed()
        assert not roles.complaint
    assert await Roles(bus, f"{A}/", B).agreed()


@pytest.mark.parametrize(("first", "second"), [(B, A), (C, A), (B, C)])
async def test_whoever_has_them_otherwise_does_not(bus, first, second):
    assert await Roles(bus, A, B).agreed()
    roles = Roles(bus, first, second)
    assert not await roles.agreed()
    assert "TAPEDECK_FALLBACK_STORE_URL" in roles.complaint
    assert "homecoming:{role}:" in roles.complaint
    assert await Roles(bus, A, B).agreed()


@pytest.mark.parametrize(("first", "second"), [(A, C), (C, B)])
async def test_one_of_them_may_be_another_one(bus, first, second):
    assert await Roles(bus, A, B).agreed()
    assert await Roles(bus, first, second).agreed()


async def test_they_may_change_places_once_nobody_has_the_old_ones(bus, prefix):
    roles, swapped = Roles(bus, A, B), Roles(bus, B, A)
    assert await roles.agreed()
    assert not await swapped.agreed()
    keys = [key async for key in bus.client.scan_iter(match=f"{prefix}homecoming:*")]
    assert len(keys) == 2
    for key in keys:
        assert 0 < await bus.client.pttl(key) <= KEPT_MS
        assert b"gs" not in key
    await bus.client.delete(*keys)
    assert await swapped.agreed()
    assert not swapped.complaint
    assert not await roles.agreed()


async def test_a_rolling_change_moves_nothing_the_other_way(bus, new_buckets, keys, metrics, caplog):
    a, b = open_store("memory:"), open_store("memory:")
    old = Mover(bus, new_buckets(a, b), keys, metrics, "old", Roles(bus, A, B))
    new = Mover(bus, new_buckets(b, a), keys, metrics, "new", Roles(bus, B, A))
    assert await old._turn(old.buckets.second) == 0
    path = BatchName("u", "c", 1000, 2000).path
    await a.put(path, b"audio", content_type=CONTENT_TYPE, metadata={})
    assert await new._turn(new.buckets.second) == 1
    assert await names(a) == [path]
    assert [record.levelno for record in caplog.records if "moved home" in record.message] == [
        logging.CRITICAL
    ]
    assert new.roles.complaint
