"""Moving home: each batch once, whatever breaks off where, and whatever lies there already."""

import asyncio
import itertools

import pytest

from audiobus.conversation import Conversation
from audiobus.deletions import set_tombstone, set_user_tombstone, unstore
from audiostore import open_store
from audiostore.errors import AlreadyExistsError, ChecksumError, TransientStoreError
from audiostore.names import CONTENT_TYPE
from audiostore.paired_store import PairedStore
from audiostore.sealing import open_sealed, seal
from pusher.batch_builder import build
from pusher.errors import CannotTellError
from pusher.homecoming import DELETED, FOUND, MOVED, WAITS, Homecoming
from tapedeck_testing.draining.moving_home import AfterPut, Of, infos, later, names, path_of, put


class Died(BaseException):
    """The process was killed here."""


class Dies:
    """Store or bus of a process that is killed at its n-th call: before the call does its work, or after it, before anybody hears of it."""

    def __init__(self, real, calls: "Calls") -> None:
        self._real = real
        self._calls = calls

    def __getattr__(self, name):
        found = getattr(self._real, name)
        if name == "list":
            return self._list
        if not asyncio.iscoroutinefunction(found):
            return found

        async def call(*args, **kwargs):
            self._calls.begin()
            answer = await found(*args, **kwargs)
            self._calls.end()
            return answer

        return call

    async def _list(self, *args, **kwargs):
        self._calls.begin()
        async for info in self._real.list(*args, **kwargs):
            yield info
        self._calls.end()


class Calls:
    def __init__(self, last: int, *, after: bool) -> None:
        self.count = 0
        self._last = last
        self._after = after

    def begin(self) -> None:
        self.count += 1
        if self.count >= self._last and not self._after:
            raise Died

    def end(self) -> None:
        if self.count >= self._last and self._after:
            raise Died


@pytest.fixture(params=["memory", "file"])
async def second(request, tmp_path):
    opened = open_store("memory:" if request.param == "memory" else f"file://{tmp_path}/second")
    yield opened
    await opened.close()


@pytest.fixture
def home(bus, store, second, keys):
    return Homecoming(bus, store, second, keys)


@pytest.mark.parametrize("sealed", [False, True], ids=["plain", "sealed"])
async def test_a_batch_moves_with_all_that_is_known_of_it(*, home, store, second, next_batch, sealed):
    path, data, metadata = next_batch(sealed=sealed)
    await put(second, path, data, metadata)
    [info] = await infos(second)
    assert await home.move(info) == MOVED
    assert await names(second) == []
    assert await store.get(path) == data
    found = (await store.head(path)).metadata
    assert found in (None, metadata)  # built again where the second kept none


@pytest.mark.parametrize("sealed", [False, True], ids=["plain", "sealed"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("elsewhere", [False, True], ids=["free", "taken"])
async def test_killed_at_each_step_it_is_home_once(
    *, home, bus, store, second, keys, next_batch, session, packets_of, sealed, after, elsewhere
):
    """The process dies at its first, second, third… call of a bucket or of Redis, until it lives through the whole move."""
    for last in itertools.count(1):
        path, data, metadata = next_batch(1, sealed=sealed)
        if elsewhere:
            await put(store, path, b"other audio of this instant", {})
        await put(second, path, data, metadata)
        [info] = await infos(second)
        calls = Calls(last, after=after)
        dying = Homecoming(Dies(bus, calls), Dies(store, calls), Dies(second, calls), keys)
        try:
            await dying.move(info)
        except Died:
            lived = False
        else:
            lived = True
        for left in await infos(second):
            # Readers of both lose nothing meanwhile.
            assert await PairedStore(store, second).get(left.name)
            assert await home.move(left) in (MOVED, FOUND)
        assert await names(second) == []
        if elsewhere:
            await store.delete(path)
        assert await packets_of(store) == session.sent
        if lived:
            break
    assert last > 6


async def test_what_lies_there_already_is_not_brought_again(home, store, second, batch, session, packets_of):
    """A reply of the first bucket was lost, and the batch went to the second too."""
    path, data, metadata = batch
    await put(store, path, data, metadata)
    await put(second, path, data, metadata)
    [info] = await infos(second)
    assert await home.move(info) == FOUND
    assert (await names(store), await names(second)) == ([path], [])
    assert await packets_of(store) == session.sent


async def test_the_same_audio_sealed_anew_is_the_same(home, store, second, next_batch, keys, conversation):
    path, data, metadata = next_batch(sealed=True)
    await put(store, path, data, metadata)
    anew = seal(open_sealed(data, keys.ring(), conversation.uid), keys.ring(), conversation.uid)
    assert anew != data
    await put(second, path, anew, metadata)
    [info] = await infos(second)
    assert await home.move(info) == FOUND
    assert await store.get(path) == data


async def test_the_same_audio_in_other_objects_is_not_brought_again(
    home, store, second, next_batch, session, packets_of, new_session, clock, conversation
):
    """Redis forgot that it was stored, and nobody could look into the first bucket when it was cut anew."""
    pieces = [next_batch(4) for _ in range(4)]
    for piece in pieces:
        await put(store, *piece)
    clock.ms -= 16_000
    again = new_session()
    again.begin(session.newest.epoch)
    packets = [one for _, one in session.sent]
    entries = []
    for number in range(0, len(packets), 50):
        clock.pass_s(1)
        entries.append(again.chunk(tuple(packets[number : number + 50])))
    built = build(conversation.cid, entries[2:14], None)
    await put(second, path_of(conversation, built), built.data, built.metadata)
    [info] = await infos(second)
    assert await home.move(info) == FOUND
    assert await names(second) == []
    assert await packets_of(store) == session.sent


async def test_other_runs_of_the_same_instant_get_the_next_name(
    home, store, second, batch, session, packets_of
):
    path, data, metadata = batch
    taken = [path, later(path)]
    for one in taken:
        await put(store, one, b"other audio", {})
    await put(second, path, data, metadata)
    [info] = await infos(second)
    assert await home.move(info) == MOVED
    assert await names(second) == []
    for one in taken:
        assert await store.get(one) == b"other audio"
        await store.delete(one)
    assert await packets_of(store) == session.sent


async def test_what_nobody_can_read_is_brought_as_it_is(home, store, second, batch):
    path, data, _metadata = batch
    broken = data[:-200]
    await put(second, path, b"OggS" + broken[4:90], {})
    [info] = await infos(second)
    assert await home.move(info) == MOVED
    again = await second.put(path, b"OggS" + broken[4:90], content_type=CONTENT_TYPE, metadata={})
    assert await home.move(again) == FOUND
    assert await names(store) == [path]


async def test_a_name_that_is_none_of_ours_is_left_alone(home, store, second):
    await second.put("chunks/u/c/notes.txt", b"x", content_type="text/plain", metadata={})
    [info] = await infos(second)
    assert await home.move(info) == WAITS
    assert await names(second) == ["chunks/u/c/notes.txt"]


@pytest.mark.parametrize("what", ["conversation", "object"])
async def test_what_was_deleted_is_not_brought_back(
    home, bus, store, second, batch, conversation, clock, what
):
    path, data, metadata = batch
    await put(second, path, data, metadata)
    if what == "conversation":
        await set_tombstone(bus, conversation, clock())
    else:
        await unstore(bus, conversation, {path: 1}, clock())
    [info] = await infos(second)
    assert await home.move(info) == DELETED
    assert await names(store) == await names(second) == []


async def test_what_a_user_recorded_after_they_deleted_all_is_brought(
    bus, home, store, second, device, new_worker, clock, packets_of
):
    """The device was offline, and its audio is from an hour ago; the name says nothing of when it came."""
    await set_user_tombstone(bus, device.conversation.uid, clock() - 60_000)
    await device.open()
    device.session.run_start_ms = clock() - 3_600_000
    await device.say(61)
    await bus.ask(device.conversation, "flush")
    await new_worker(second).drain(device.conversation)
    for info in await infos(second):
        assert await home.move(info) == MOVED
    assert await names(second) == []
    assert await packets_of(store, device.conversation) == device.sent


@pytest.mark.parametrize("soon", [False, True], ids=["deleted", "about to be deleted"])
async def test_a_user_deletes_all_while_it_moves(
    *, bus, store, second, keys, batch, conversation, clock, soon
):
    """Whoever deletes lists both buckets, the second first, notes what is there, and deletes in both."""
    path, data, metadata = batch
    await put(second, path, data, metadata)

    class DeletedAtPut(Of):
        async def put(self, *args, **kwargs):
            await set_user_tombstone(bus, conversation.uid, clock())
            if not soon:
                await unstore(bus, conversation, {path: 1}, clock())
                await PairedStore(store, second).delete(path)
            return await self.real.put(*args, **kwargs)

    [info] = await infos(second)
    outcome = await Homecoming(bus, DeletedAtPut(store), second, keys).move(info)
    assert outcome == (MOVED if soon else DELETED)
    assert await names(second) == []
    assert await names(store) == ([path] if soon else [])


async def test_what_is_deleted_while_it_moves_does_not_stay(
    bus, store, second, keys, batch, conversation, clock
):
    path, data, metadata = batch
    await put(second, path, data, metadata)

    async def deleted():
        await set_tombstone(bus, conversation, clock())

    [info] = await infos(second)
    assert await Homecoming(bus, AfterPut(store, deleted), second, keys).move(info) == DELETED
    assert await names(store) == await names(second) == []


async def test_what_the_first_bucket_does_not_confirm_stays(bus, store, second, keys, batch):
    path, data, metadata = batch
    await put(second, path, data, metadata)
    [info] = await infos(second)

    class Spoils(Of):
        async def put(self, name, data, **kwargs):
            return await self.real.put(name, data[:-1], **kwargs)

    with pytest.raises(ChecksumError):
        await Homecoming(bus, Spoils(store), second, keys).move(info)
    assert await second.get(path) == data
    await store.delete(path)

    class Away(Of):
        async def put(self, *_args, **_kwargs):
            raise TransientStoreError("away")

    with pytest.raises(TransientStoreError):
        await Homecoming(bus, Away(store), second, keys).move(info)
    assert await second.get(path) == data


async def test_a_name_that_is_taken_by_nothing_to_be_seen_is_tried_again(bus, store, second, keys, batch):
    """Whoever put it there is just taking it away, or the bucket cannot be seen: under another name it could lie there twice."""
    path, data, metadata = batch
    await put(second, path, data, metadata)
    [info] = await infos(second)

    class Vanishes(Of):
        async def put(self, *_args, **_kwargs):
            raise AlreadyExistsError("taken")

    with pytest.raises(TransientStoreError):
        await Homecoming(bus, Vanishes(store), second, keys).move(info)
    assert await names(second) == [path]
    assert await names(store) == []


async def test_audio_at_home_that_is_about_to_be_deleted_does_not_count(
    bus, home, store, second, batch, session, packets_of, conversation, clock
):
    path, data, metadata = batch
    doomed = later(path, 7)
    await put(store, doomed, data, metadata)
    await put(second, path, data, metadata)
    await bus.command("HSET", bus.keys.gone(conversation), doomed, clock())
    [info] = await infos(second)
    assert await home.move(info) == MOVED
    await store.delete(doomed)
    assert await packets_of(store) == session.sent


async def test_without_the_key_it_waits(bus, second, next_batch, new_keys, tmp_path):
    """Only the content of a folder tells what it holds."""
    folder = open_store(f"file://{tmp_path}/first")
    path, data, metadata = next_batch(sealed=True)
    await put(folder, path, data, metadata)
    await put(second, path, data, metadata)
    [info] = await infos(second)
    with pytest.raises(CannotTellError):
        await Homecoming(bus, folder, second, new_keys("k3")).move(info)
    assert await names(second) == [path]
    assert await Homecoming(bus, folder, second, new_keys("k2", "k1")).move(info) == FOUND
    await folder.close()


async def test_another_mover_may_be_faster_at_any_step(home, store, second, next_batch, session, packets_of):
    """Two pushers, one of them paused beyond its lease: both move the same objects at the same time."""
    for _ in range(10):
        await put(second, *next_batch(2))
    every = await infos(second)
    outcomes = await asyncio.gather(*(home.move(info) for info in every for _ in range(3)))
    assert set(outcomes) <= {MOVED, FOUND}
    assert outcomes.count(MOVED) <= len(every)
    assert await names(second) == []
    assert await packets_of(store, Conversation(*session.conversation)) == session.sent
