"""Moving home what lies at home already, whole or damaged, or comes to lie there meanwhile: nothing is done because something looks damaged."""

import dataclasses

import pytest

from audiobus.deletions import gone, unstore
from audiostore.errors import ChecksumError, TransientStoreError
from audiostore.sealing import seal
from pusher.errors import CannotTellError, DamagedError
from pusher.homecoming import FOUND, MOVED, Homecoming
from tapedeck_testing.draining.moving_home import AfterPut, Of, damaged, infos, later, names, put


@pytest.fixture
async def in_both(first, second, batch):
    """A batch of ten seconds that lies in both buckets; what the second says of it."""
    for bucket in (first, second):
        await put(bucket, *batch)
    return await second.head(batch[0])


class Garbled(Of):
    """A bucket that says nothing certain of an object's checksum, and whose first so many reads come garbled."""

    def __init__(self, real, times) -> None:
        super().__init__(real)
        self.times = times

    async def head(self, name):
        return dataclasses.replace(await self.real.head(name), claimed=True)

    async def get(self, name):
        if self.times:
            self.times -= 1
            raise ChecksumError("the bytes that came do not have the checksum that the bucket names")
        return await self.real.get(name)


class DamagedThere(Of):
    """As az://: a listing tells no metadata, and the bytes are not those of the checksum that their writer claimed."""

    async def list(self, prefix, after=""):
        async for info in self.real.list(prefix, after):
            yield dataclasses.replace(info, metadata=None, crc32c=None)

    async def get(self, name):
        raise ChecksumError("the bytes that came do not have the checksum that the bucket names")

    async def get_range(self, name, start, end):
        return bytes(end - start)


async def replace(store, path, data, metadata):
    await store.delete(path)
    await put(store, path, data, metadata)


async def test_two_at_home_that_hold_the_same_audio_are_left_alone(
    bus, first, second, keys, in_both, session, conversation, packets_of
):
    """Readers play a byte once, and either may be what a cut was settled by."""
    other = later(in_both.name)
    await put(first, other, await first.get(in_both.name), in_both.metadata)
    assert await Homecoming(bus, first, second, keys).move(in_both) == FOUND
    assert (await names(first), await names(second)) == ([in_both.name, other], [])
    assert await gone(bus, conversation) == {}


async def test_what_is_damaged_at_home_stays_and_so_does_the_second_buckets_copy(
    bus, first, second, keys, in_both, session, conversation, packets_of
):
    """Until an operator has deleted the damaged one; or it was only read so."""
    data = await second.get(in_both.name)
    await replace(first, in_both.name, damaged(data), in_both.metadata)
    home = Homecoming(bus, first, second, keys)
    for _ in range(3):
        with pytest.raises(DamagedError, match=f"{in_both.name.rpartition('/')[2]} in the first bucket"):
            await home.move(in_both)
    assert (await names(first), await names(second)) == ([in_both.name], [in_both.name])
    assert await gone(bus, conversation) == {}
    await first.delete(in_both.name)
    assert await home.move(in_both) == MOVED
    assert (await names(first), await names(second)) == ([in_both.name], [])
    assert await packets_of(first) == session.sent


async def test_what_is_damaged_under_the_next_name_is_not_brought_under_another(
    bus, first, second, keys, in_both, conversation
):
    data = await second.get(in_both.name)
    await replace(first, in_both.name, b"other audio of this instant", {})
    await put(first, later(in_both.name), damaged(data), in_both.metadata)
    with pytest.raises(DamagedError):
        await Homecoming(bus, first, second, keys).move(in_both)
    assert await names(first) == [in_both.name, later(in_both.name)]
    assert await names(second) == [in_both.name]
    assert await gone(bus, conversation) == {}


async def test_what_is_damaged_does_not_count_nor_hinder(bus, first, second, keys, in_both, conversation):
    """Its audio lies beside it."""
    data = await second.get(in_both.name)
    await replace(first, in_both.name, damaged(data), in_both.metadata)
    await put(first, later(in_both.name), data, in_both.metadata)
    assert await Homecoming(bus, first, second, keys).move(in_both) == FOUND
    assert await names(first) == [in_both.name, later(in_both.name)]
    assert await names(second) == []
    assert await gone(bus, conversation) == {}


async def test_what_is_whole_at_home_and_comes_damaged_for_a_while_is_found_then(
    bus, first, second, keys, in_both, conversation
):
    for _ in range(3):
        with pytest.raises(DamagedError):
            await Homecoming(bus, Garbled(first, 4), second, keys).move(in_both)
    assert (await names(first), await names(second)) == ([in_both.name], [in_both.name])
    assert await Homecoming(bus, first, second, keys).move(in_both) == FOUND
    assert (await names(first), await names(second)) == ([in_both.name], [])
    assert await gone(bus, conversation) == {}


@pytest.mark.parametrize("at_home", ["nothing", "damaged", "other audio"])
async def test_what_is_damaged_in_the_second_is_not_brought(
    *, bus, first, second, keys, in_both, conversation, at_home
):
    """Nobody can tell which of two damaged ones has more of the audio."""
    data = await second.get(in_both.name)
    await replace(second, in_both.name, damaged(data), in_both.metadata)
    await first.delete(in_both.name)
    if at_home == "damaged":
        await put(first, in_both.name, data[:-300] + bytes(300), in_both.metadata)
    elif at_home == "other audio":
        await put(first, in_both.name, b"other audio", {})
    before = await names(first)
    with pytest.raises(DamagedError, match="in the second bucket"):
        await Homecoming(bus, first, second, keys).move(await second.head(in_both.name))
    assert (await names(first), await names(second)) == (before, [in_both.name])
    assert await gone(bus, conversation) == {}


@pytest.mark.parametrize("times", [1, 2])
async def test_what_comes_damaged_from_the_second_is_read_twice(
    bus, first, second, keys, in_both, conversation, session, packets_of, times
):
    await first.delete(in_both.name)
    home = Homecoming(bus, first, Garbled(second, times), keys)
    if times == 2:
        with pytest.raises(DamagedError):
            await home.move(in_both)
        assert (await names(first), await names(second)) == ([], [in_both.name])
    assert await home.move(in_both) == MOVED
    assert await packets_of(first) == session.sent


@pytest.fixture
async def sealed(in_both, first, second, keys, conversation):
    """The same batch in the second bucket, sealed: its user was protected since it lay at home in the clear."""
    path = f"{in_both.name.removesuffix('bin')}enc"
    await put(
        second, path, seal(await first.get(in_both.name), keys.ring(), conversation.uid), in_both.metadata
    )
    await second.delete(in_both.name)
    return await second.head(path)


async def test_audio_that_lies_at_home_in_the_clear_only_is_brought_sealed(
    bus, first, second, keys, in_both, sealed, conversation
):
    data = await second.get(sealed.name)
    assert await Homecoming(bus, first, second, keys).move(sealed) == MOVED
    assert (await names(first), await names(second)) == ([in_both.name, sealed.name], [])
    assert await first.get(sealed.name) == data
    assert await gone(bus, conversation) == {}


async def test_audio_that_lies_at_home_sealed_is_not_brought_in_the_clear(
    bus, first, second, keys, in_both, sealed
):
    await put(first, sealed.name, await second.get(sealed.name), sealed.metadata)
    await second.delete(sealed.name)
    await put(second, in_both.name, await first.get(in_both.name), in_both.metadata)
    await first.delete(in_both.name)
    assert await Homecoming(bus, first, second, keys).move(in_both) == FOUND
    assert (await names(first), await names(second)) == ([sealed.name], [])


async def test_one_in_the_clear_is_no_reason_to_delete_a_sealed_one_that_is_damaged(
    bus, first, second, keys, in_both, sealed
):
    await replace(second, sealed.name, damaged(await second.get(sealed.name)), sealed.metadata)
    with pytest.raises(CannotTellError, match="in the second bucket"):  # the key may be what is wrong
        await Homecoming(bus, first, second, keys).move(sealed)
    with pytest.raises(DamagedError, match="in the second bucket"):
        await Homecoming(bus, first, Garbled(second, 0), keys).move(sealed)
    assert (await names(first), await names(second)) == ([in_both.name], [sealed.name])


async def test_what_need_not_be_opened_moves_without_its_key(bus, first, second, in_both, sealed, new_keys):
    """The second bucket itself says that just these bytes lie there."""
    await first.delete(in_both.name)
    assert await Homecoming(bus, first, second, new_keys("k3")).move(sealed) == MOVED
    assert (await names(first), await names(second)) == ([sealed.name], [])


async def test_what_nobody_vouches_for_waits_for_its_key(bus, first, second, in_both, sealed, new_keys):
    await first.delete(in_both.name)
    with pytest.raises(CannotTellError):
        await Homecoming(bus, first, Garbled(second, 0), new_keys("k3")).move(sealed)
    assert (await names(first), await names(second)) == ([], [sealed.name])


async def test_what_is_damaged_in_the_second_goes_where_its_audio_lies_at_home(
    bus, first, second, keys, in_both, session, packets_of
):
    """Its put went wrong there, and could not be taken back; then the first bucket worked again."""
    there = DamagedThere(second)
    [info] = await infos(there)
    assert await Homecoming(bus, first, there, keys).move(info) == FOUND
    assert (await names(first), await names(second)) == ([in_both.name], [])
    assert await packets_of(first) == session.sent


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_one_stays_however_often_it_reads_garbled(
    bus, first, second, keys, in_both, session, packets_of, times
):
    """It is looked at in the listing, twice, and again when its name is found to be taken."""
    assert await Homecoming(bus, Garbled(first, times), second, keys).move(in_both) == FOUND
    assert (await names(first), await names(second)) == ([in_both.name], [])
    assert await packets_of(first) == session.sent


async def test_what_got_a_name_that_must_go_is_brought_again(
    bus, first, second, keys, in_both, session, conversation, clock, packets_of
):
    """Its own name at home is that of other audio; the next one was noted while it was put. The second bucket's copy stays until then."""
    path = in_both.name
    await first.delete(path)
    await put(first, path, b"other audio of this instant", {})

    async def noted():
        await unstore(bus, conversation, {later(path): 0}, clock())

    moving = Homecoming(bus, AfterPut(first, noted), second, keys)
    with pytest.raises(TransientStoreError, match="brought again"):
        await moving.move(in_both)
    assert await names(second) == [path]
    await first.delete(later(path))  # as everybody does who looks at the names
    assert await moving.move(in_both) == MOVED
    assert (await names(first), await names(second)) == ([path, later(later(path))], [])
    await first.delete(path)
    assert await packets_of(first) == session.sent


async def test_what_lies_at_home_stays_where_a_pusher_settles_by_it(
    *, bus, first, second, keys, device, killed, conversation, new_worker, packets_of, clock
):
    """Redis went back while a mover looked at it, and the cut stands again. What has its name at home is damaged: the pusher gives that up."""
    await put(first, killed.name, damaged(await second.get(killed.name)), killed.metadata)
    cut = (await bus.state(conversation)).cut
    await bus.command("HDEL", bus.keys.conv(conversation), "cut")  # settled, as the mover sees it
    home = Homecoming(bus, first, second, keys)
    with pytest.raises(DamagedError):
        await home.move(killed)
    await bus.command("HSET", bus.keys.conv(conversation), "cut", cut)
    for _ in range(3):
        await new_worker(first, second=second).drain(conversation)
        clock.pass_s(20)
    assert (await bus.state(conversation)).waiting_samples == 0
    assert await names(second) == []
    assert set(await gone(bus, conversation)) <= {killed.name}
    assert await packets_of(first) == device.sent
