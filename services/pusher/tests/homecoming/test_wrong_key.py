"""The key ring has other bytes under the id of a key: nothing is told as damaged, and nothing is lost."""

import base64
import dataclasses
import hashlib

import pytest

from audiostore.key_ring import KeySource
from audiostore.sealing import RECORD_BYTES, open_sealed, seal
from pusher.batch_builder import build
from pusher.errors import CannotTellError, DamagedError
from pusher.homecoming import FOUND, MOVED, Homecoming
from tapedeck_testing.draining.moving_home import Of, names, path_of, put


def entry(id_, key):
    return f"{id_}:{base64.b64encode(key).decode()}"


@pytest.fixture
def wrong_keys():
    """Of the same ids."""
    return KeySource(",".join(entry(one, one.encode() * 16) for one in ("k2", "k1")))


@pytest.fixture
def half_wrong():
    """Only k2 is as it was."""
    return KeySource(",".join([entry("k2", hashlib.sha256(b"k2").digest()), entry("k1", bytes(32))]))


class Claims(Of):
    """Knows of a checksum only what its writer claimed."""

    async def head(self, name):
        return dataclasses.replace(await self.real.head(name), claimed=True)


async def test_in_the_second_bucket(bus, first, second, keys, wrong_keys, next_batch):
    path, data, metadata = next_batch(sealed=True)
    await put(second, path, data, metadata)
    info = await second.head(path)
    with pytest.raises(CannotTellError, match="check the keys first"):
        await Homecoming(bus, first, second, wrong_keys).move(info)
    assert (await names(first), await names(second)) == ([], [path])
    assert await Homecoming(bus, first, second, keys).move(info) == MOVED


async def test_in_the_first_bucket(bus, first, second, keys, half_wrong, new_keys, next_batch, conversation):
    """The same audio, sealed twice: with a key that is right, and with one that is not."""
    path, data, metadata = next_batch(sealed=True)
    plain = open_sealed(data, keys.ring(), conversation.uid)
    await put(second, path, data, metadata)
    await put(first, path, seal(plain, new_keys("k1").ring(), conversation.uid), metadata)
    info = await second.head(path)
    with pytest.raises(CannotTellError, match="in the first bucket"):
        await Homecoming(bus, first, second, half_wrong).move(info)
    assert (await names(first), await names(second)) == ([path], [path])
    assert await Homecoming(bus, first, second, keys).move(info) == FOUND


async def test_where_the_store_says_nothing_certain_it_looks_damaged(
    bus, first, second, wrong_keys, keys, next_batch
):
    path, data, metadata = next_batch(sealed=True)
    await put(second, path, data, metadata)
    info = await second.head(path)
    with pytest.raises(DamagedError):
        await Homecoming(bus, first, Claims(second), wrong_keys).move(info)
    await put(first, path, data, metadata)
    assert await Homecoming(bus, first, second, keys).move(info) == FOUND


async def test_what_names_no_key_or_opens_in_part_is_damaged(
    bus, first, second, keys, session, conversation, large_packets
):
    """A key that opens the first record is the right one."""
    session.starts = True
    built = build(conversation.cid, [session.chunk(large_packets(100, 1200)) for _ in range(2)], None)
    data = seal(built.data, keys.ring(), conversation.uid)
    assert len(data) > 2 * RECORD_BYTES
    path = path_of(conversation, built, sealed=True)
    for there in (bytes(4) + data[4:], data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]):
        await put(second, path, there, built.metadata)
        with pytest.raises(DamagedError):
            await Homecoming(bus, first, second, keys).move(await second.head(path))
        await second.delete(path)
