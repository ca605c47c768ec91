"""Moving home what says nothing of its audio, or something else than it holds, or says it only now and then."""

import dataclasses

import msgspec
import pytest

from audiobus.letters_cut import LettersCut
from audiostore.batch import batch_file, read_batch
from audiostore.errors import ChecksumError, NotFoundError, TransientStoreError
from pusher.errors import DamagedError
from pusher.homecoming import EARLY, FOUND, MOVED, Homecoming
from tapedeck_testing.draining.moving_home import Of, later, names, put


def of_another_session(data):
    """The same audio under other offsets, as an object of its own."""
    batch = read_batch(data)
    spans = tuple(dataclasses.replace(span, epoch=span.epoch + 7) for span in batch.spans)
    return batch_file(dataclasses.replace(batch, spans=spans))


def of_another_conversation(data):
    batch = read_batch(data)
    spans = tuple(dataclasses.replace(span, conversation="other") for span in batch.spans)
    return batch_file(dataclasses.replace(batch, conversation_id="other", spans=spans))


class SaysNothingTwice(Of):
    """As az://: no metadata; two answers say 404 of an object that is there."""

    times = 2

    async def get_range(self, name, start, end):
        if self.times:
            self.times -= 1
            raise NotFoundError(name)
        return await self.real.get_range(name, start, end)

    async def head(self, name):
        return dataclasses.replace(await self.real.head(name), metadata=None)


class Claims(Of):
    """Knows of a checksum only what its writer claimed."""

    async def head(self, name):
        return dataclasses.replace(await self.real.head(name), claimed=True)


async def test_one_that_could_not_be_read_for_a_moment_is_not_brought_beside_a_whole_one(
    bus, first, second, keys, batch
):
    path, data, metadata = batch
    for bucket in (first, second):
        await put(bucket, path, data, metadata)
    info = dataclasses.replace(await second.head(path), metadata=None)
    home = Homecoming(bus, Claims(first), SaysNothingTwice(second), keys)
    with pytest.raises(TransientStoreError, match="looked for at home"):
        await home.move(info)
    assert (await names(first), await names(second)) == ([path], [path])
    assert await home.move(info) == FOUND
    assert (await names(first), await names(second)) == ([path], [])


async def test_what_another_conversation_recorded_is_brought_although_its_offsets_are_the_same(
    bus, first, second, keys, batch
):
    """Copied there by hand."""
    path, data, metadata = batch
    theirs = of_another_conversation(data)
    await put(first, path, data, metadata)
    await put(second, path, theirs.data, theirs.metadata)
    assert await Homecoming(bus, first, second, keys).move(await second.head(path)) == MOVED
    assert await names(first) == [path, later(path)]


async def test_other_bytes_of_the_same_size_are_not_taken_for_what_was_brought(
    bus, first, second, keys, batch
):
    path, data, metadata = batch
    await put(second, path, data, metadata)

    class Spoils(Of):
        async def put(self, name, data, **kwargs):
            return await self.real.put(name, data[:-1] + bytes([data[-1] ^ 1]), **kwargs)

    with pytest.raises(ChecksumError):
        await Homecoming(bus, Spoils(first), second, keys).move(await second.head(path))
    assert await second.get(path) == data


async def test_a_whole_batch_that_is_not_what_it_says_does_not_count(bus, first, second, keys, batch):
    """The bucket stored what somebody else was putting."""
    path, data, metadata = batch
    says = {key: value for key, value in metadata.items() if "sha256" not in key}
    await put(second, path, data, metadata)
    await put(first, path, of_another_session(data).data, says)
    with pytest.raises(DamagedError):
        await Homecoming(bus, first, second, keys).move(await second.head(path))
    assert await second.get(path) == data


@pytest.mark.parametrize("there", [b"unreadablE", b"other"])
async def test_what_says_nothing_is_at_home_only_byte_for_byte(bus, first, second, keys, batch, there):
    path, _, _ = batch
    await put(second, path, b"unreadable", {})
    await put(first, path, there, {})
    assert await Homecoming(bus, first, second, keys).move(await second.head(path)) == MOVED
    assert await first.get(path) == there
    assert await first.get(later(path)) == b"unreadable"


async def test_a_cut_of_a_later_version_for_the_dead_letters_holds_up_only_its_own_batch(
    bus, first, second, keys, next_batch, conversation
):
    one, other = next_batch(), next_batch()
    for batch in (one, other):
        await put(second, *batch)
    _, *rest = msgspec.to_builtins(LettersCut(1, ("1-100",), one[0], "standard"))
    raw = msgspec.msgpack.encode([9, *rest, "more"])
    await bus.command("HSET", bus.keys.conv(conversation), "again_cut", raw)
    home = Homecoming(bus, first, second, keys)
    assert await home.move(await second.head(one[0])) == EARLY
    assert await home.move(await second.head(other[0])) == MOVED
