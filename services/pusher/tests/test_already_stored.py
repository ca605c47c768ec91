"""What the bucket has, asked as seldom as possible."""

import pytest

from audiobus.cut import Stored
from audiostore import open_store
from audiostore.names import CONTENT_TYPE, BatchName
from audiostore.sealing import seal
from pusher.already_stored import AlreadyStored
from pusher.batch_builder import build
from pusher.errors import CannotTellError


@pytest.fixture(params=[False, True], ids=["plain", "sealed"])
def put(request, keys, store, new_session, clock, conversation):
    """Puts batches of ten seconds each, one after the other; gives their times."""
    session = new_session()
    session.begin(clock())
    preroll = None

    async def one():
        nonlocal preroll
        built = build(conversation.cid, list(session.speech(10)), preroll)
        preroll = built.preroll
        start, end = built.batch.spans[0].start_ms, built.batch.spans[-1].end_ms
        name = BatchName(*conversation, start, end, sealed=request.param).path
        data = seal(built.data, keys.ring(), conversation.uid) if request.param else built.data
        await store.put(name, data, content_type=CONTENT_TYPE, metadata=built.metadata)
        return start, end

    return one


async def test_it_finds_what_lies_in_that_time(new_buckets, store, put, conversation, clock, keys):
    epoch = clock()
    times = [await put() for _ in range(4)]
    already = AlreadyStored(new_buckets(store), keys)
    # Objects that only touch that time are looked at, too.
    assert await already.between(conversation, "r", times[1][0] + 5, times[2][1] - 5) == (
        Stored(epoch, 5_000 * 10, 15_000 * 10),
    )
    assert await already.between(conversation, "r", 0, 10**13) == (Stored(epoch, 0, 200_000),)
    assert await already.between(conversation, "r", times[3][1] + 1, 10**13) == ()


async def test_it_is_known_once_everything_there_is_passed(new_buckets, store, put, conversation, keys):
    already = AlreadyStored(new_buckets(store), keys)
    start, end = await put()
    assert not already.known(conversation, "r", start, end)
    await already.between(conversation, "r", start, end)
    assert not already.known(conversation, "r", end, end + 5)
    assert already.known(conversation, "r", end + 1, end + 5)
    # Another history of Redis: nothing is known any more.
    assert not already.known(conversation, "another", end + 1, end + 5)
    # What this process puts itself does not count.
    later, _ = await put()
    await already.between(conversation, "r", end, end)
    assert already.known(conversation, "r", later + 5, later + 9)


async def test_a_new_conversation_is_listed_once(new_buckets, store, conversation, keys):
    already = AlreadyStored(new_buckets(store), keys)
    assert await already.between(conversation, "r", 5, 10) == ()
    assert already.known(conversation, "r", 5, 10)


async def test_audio_of_earlier_than_what_is_stored_is_listed_once(
    bus, store, device, conversation, new_worker, clock
):
    """A device brings what it recorded an hour ago into a conversation that went on since."""
    later = clock() + 3_600_000
    for minute in range(100):
        name = BatchName(*conversation, later + minute * 60_000, later + minute * 60_000 + 59_990)
        await store.put(name.path, b"x", content_type=CONTENT_TYPE, metadata={})
    listings = []

    class Counts:
        def __getattr__(self, name):
            return getattr(store, name)

        async def list(self, prefix, after=""):
            listings.append(prefix)
            async for info in store.list(prefix, after):
                yield info

    worker = new_worker(Counts())
    await device.open()
    for _ in range(10):
        await device.say(10)
        await bus.ask(conversation, "flush")
        await worker.drain(conversation)
    assert len(listings) == 1
    # Up to what lies there: from then on it is asked again.
    clock.ms = later - 5_000
    device.session.begin_run()
    await device.say(10)
    await bus.ask(conversation, "flush")
    await worker.drain(conversation)
    assert len(listings) > 1


async def test_what_is_known_reaches_as_far_as_was_listed(new_buckets, store, conversation, keys):
    for start in (2_000, 5_000, 8_000):
        await store.put(
            BatchName(*conversation, start, start + 1_000).path, b"x", content_type=CONTENT_TYPE, metadata={}
        )
    already = AlreadyStored(new_buckets(store), keys)

    async def between(start, end):
        await already.between(conversation, "r", start, end)

    def known(start, end):
        return already.known(conversation, "r", start, end)

    await between(6_500, 7_000)
    assert known(6_500, 7_999)
    assert not known(6_500, 8_000)  # it may touch what comes
    assert not known(6_499, 7_000)  # nobody has looked so early
    assert not known(9_500, 9_600)
    await between(5_500, 6_600)
    assert known(6_001, 7_999)
    assert not known(6_000, 7_999)
    await between(3_500, 4_000)
    assert known(3_500, 4_999)
    assert not known(6_500, 7_000)  # one stretch is remembered
    await between(9_500, 9_600)
    assert known(9_500, 9_999)
    assert not known(9_500, 10_000)  # times of another length are listed by themselves


async def test_other_objects_are_passed_over(new_buckets, store, put, conversation, keys):
    start, end = await put()
    for name in (f"{start / 1000:.3f}.opus", f"{start / 1000:.3f}-{end / 1000 + 1:.3f}.batch.bin", "readme"):
        path = f"chunks/{conversation.uid}/{conversation.cid}/{name}"
        await store.put(path, b"older", content_type="audio/ogg", metadata={})
    assert len(await AlreadyStored(new_buckets(store), keys).between(conversation, "r", start, end)) == 1


async def test_what_was_merged_in_from_elsewhere_is_not_this_conversations(
    new_buckets, store, put, conversation, keys
):
    start, end = await put()
    target = conversation._replace(cid="target")
    (source,) = [info.name async for info in store.list("chunks/")]
    await store.copy(source, source.replace(conversation.cid, target.cid))
    assert await AlreadyStored(new_buckets(store), keys).between(target, "r", start, end) == ()


async def test_only_so_many_are_remembered(new_buckets, store, conversation, keys, monkeypatch):
    monkeypatch.setattr("pusher.already_stored.REMEMBERED", 2)
    already = AlreadyStored(new_buckets(store), keys)
    others = [conversation._replace(cid=f"c{number}") for number in range(3)]
    for one in others:
        await already.between(one, "r", 5, 10)
    assert [already.known(one, "r", 5, 10) for one in others] == [False, True, True]


async def test_without_the_key_nobody_says_what_a_folder_holds(
    new_buckets, tmp_path, new_session, clock, conversation, new_keys
):
    session = new_session()
    epoch = session.begin(clock()).id.epoch
    built = build(conversation.cid, list(session.speech(10)), None)
    start, end = built.batch.spans[0].start_ms, built.batch.spans[-1].end_ms
    folder = open_store(f"file://{tmp_path}/folder")
    data = seal(built.data, new_keys("k1").ring(), conversation.uid)
    name = BatchName(*conversation, start, end, sealed=True).path
    await folder.put(name, data, content_type=CONTENT_TYPE, metadata={})
    rotated = AlreadyStored(new_buckets(folder), new_keys("k2"))
    for _ in range(2):
        with pytest.raises(CannotTellError):
            await rotated.between(conversation, "r", start, end)
        assert not rotated.known(conversation, "r", start, end)
    # Another time needs no key; with the key all is known.
    assert await rotated.between(conversation, "r", end + 1, end + 2) == ()
    back = AlreadyStored(new_buckets(folder), new_keys("k2", "k1"))
    assert await back.between(conversation, "r", start, end) == (Stored(epoch, 0, 50_000),)
    await folder.close()


async def test_nothing_is_left_out_because_of_what_may_be_taken_away_again(
    bus, memory_store, device, conversation, new_worker, packets_of
):
    """All of it lies there as the rest of what is cut out, which is withdrawn when that comes to nothing."""
    await device.open()
    await device.say(20)
    await bus.ask(conversation, "flush")
    keys = (bus.keys.conv(conversation), bus.keys.audio(conversation))
    before = [await bus.command("DUMP", key) for key in keys]
    await new_worker(memory_store).drain(conversation)
    [rest] = [info.name async for info in memory_store.list("chunks/")]
    for key, kept in zip(keys, before, strict=True):
        await bus.command("RESTORE", key, 0, kept, "REPLACE")

    class Announced:
        """It is announced and put while the bucket is listed."""

        def __getattr__(self, name):
            return getattr(memory_store, name)

        async def list(self, *args):
            await bus.command("HSET", bus.keys.replacing(conversation), rest, "7:9")
            async for info in memory_store.list(*args):
                yield info

    await new_worker(Announced()).drain(conversation)
    assert (await bus.state(conversation)).waiting_samples == 0
    await memory_store.delete(rest)
    assert await packets_of(memory_store) == device.sent
