"""Dead letters that are tried again, on a real Redis and real stores."""

import msgspec
import pytest

from audiobus import dead_letters as dead
from audiobus.answers import CutStands
from audiobus.census import exact
from audiobus.deletions import discard, gone, set_tombstone, sweep
from audiobus.letter import read_letter
from audiobus.letters_cut import LettersCut, standing
from audiostore.errors import TransientStoreError
from audiostore.names import conversation_prefix
from pusher.cutter import Limits
from pusher.maker import Maker
from pusher.scheduler import Scheduler
from pusher.second_try import SecondTry


@pytest.fixture
def new_try(bus, hints, clock, new_buckets, keys, metrics):
    """The second try of a process that has just begun."""

    def make(store, **fields) -> SecondTry:
        maker = Maker(fields.pop("keys", keys))
        return SecondTry(bus, hints, new_buckets(store, **fields), maker, Limits(), metrics, clock)

    return make


@pytest.fixture
async def letters(bus, device):
    """Eight seconds, of which the third, fourth and seventh lie in the dead letters and the rest is about to be stored."""
    await device.open()
    await device.say(8)
    buried = [await device.bury(number) for number in (7, 4, 3)][::-1]  # each number counts what is left
    await bus.ask(device.conversation, "end")
    return buried


async def mark(bus, conversation, ids, now_ms=0):
    for one in ids:
        assert await dead.mark(bus, conversation, one, now_ms)


async def names(store, conversation):
    return [info.name async for info in store.list(conversation_prefix(*conversation))]


async def letter(bus, conversation, one):
    return read_letter(str(one), await bus.command("HGET", bus.keys.dead(conversation), str(one)))


async def test_all_of_it_is_stored_in_the_end(
    *, letters, device, bus, store, new_worker, new_try, packets_of, metrics
):
    await new_worker(store).drain(device.conversation)
    missing = set(device.sent) - set(await packets_of(store))
    assert len(missing) == 150
    before = await exact(bus, device.conversation)
    assert (before.difference, before.dead) == (0, 3 * 48_000)
    second = new_try(store)
    await second.run(device.conversation)  # nothing is marked
    assert await exact(bus, device.conversation) == before
    await mark(bus, device.conversation, letters)
    await second.run(device.conversation)
    assert await packets_of(store) == device.sent
    after = await exact(bus, device.conversation)
    assert (after.difference, after.dead, after.waiting) == (0, 0, 0)
    assert after.stored == after.received
    state = await bus.stored(device.conversation, letters[0].epoch)
    assert (state.dead_offset, state.settled) == (None, state.newest)
    assert await dead.asked_for(bus, device.conversation) is None
    assert second.metrics.letters.tries["stored"]._value.get() == 3
    # Two runs with a second between them are one object: a gap inside a batch is filled.
    assert len(await names(store, device.conversation)) == 2


async def test_one_that_still_does_not_parse_stays_and_is_told_why(
    letters, device, bus, memory_store, new_worker, new_try, packets_of
):
    await new_worker(memory_store).drain(device.conversation)
    key = bus.keys.dead(device.conversation)
    whole = msgspec.msgpack.decode(await bus.command("HGET", key, str(letters[1])))
    whole["fields"][b"c"] = b"\xc1 damaged"
    await bus.command("HSET", key, str(letters[1]), msgspec.msgpack.encode(whole))
    await mark(bus, device.conversation, letters)
    await new_try(memory_store).run(device.conversation)
    assert len(await packets_of(memory_store)) == 350
    balance = await exact(bus, device.conversation)
    assert (balance.difference, balance.dead) == (0, 48_000)
    left = await letter(bus, device.conversation, letters[1])
    assert dead.marked_ms(left) is None
    assert dead.tries(left) == 1
    assert "not a msgpack array" in dead.last_try(left)
    assert left.reason == "unknown to this build"
    stands = await bus.stored(device.conversation, letters[0].epoch)
    assert stands.dead_offset == letters[0].offset  # `stored` goes on up to it
    assert await dead.asked_for(bus, device.conversation) is None


async def test_a_bucket_that_fails_is_waited_for(
    *, letters, device, bus, memory_store, new_worker, new_try, failing_store, packets_of, clock
):
    await new_worker(memory_store).drain(device.conversation)
    await mark(bus, device.conversation, letters)
    failing = failing_store(memory_store, [TransientStoreError("away")])
    second = new_try(failing)
    await second.run(device.conversation)
    due = await bus.command("ZSCORE", bus.keys.due(0), device.conversation.tag)
    assert float(due) <= clock() + 60_000
    assert (await exact(bus, device.conversation)).dead == 3 * 48_000
    left = await letter(bus, device.conversation, letters[0])
    assert (dead.tries(left), dead.last_try(left)) == (0, "away")
    assert await standing(bus, device.conversation)
    # Another process finds the cut.
    await new_try(memory_store).run(device.conversation)
    assert await packets_of(memory_store) == device.sent
    assert (await exact(bus, device.conversation)).difference == 0


async def test_a_missing_key_is_waited_for(
    letters, device, bus, memory_store, new_worker, new_try, packets_of, keys, new_keys
):
    await new_worker(memory_store).drain(device.conversation)
    await bus.command("HSET", bus.keys.user(device.conversation.uid), "protection", "enhanced")
    await mark(bus, device.conversation, letters)
    await new_try(memory_store, keys=new_keys()).run(device.conversation)
    assert len(await names(memory_store, device.conversation)) == 1
    left = await letter(bus, device.conversation, letters[0])
    assert dead.marked_ms(left) is not None
    assert "TAPEDECK_ENCRYPTION_KEYS" in dead.last_try(left)
    await new_try(memory_store).run(device.conversation)
    assert await packets_of(memory_store) == device.sent
    assert (await names(memory_store, device.conversation))[-1].endswith(".enc")


async def test_what_lies_in_the_bucket_already_is_not_put_again(
    letters, device, bus, memory_store, new_worker, new_try, packets_of
):
    """Redis forgot that it was settled, and brought the letters back."""
    await new_worker(memory_store).drain(device.conversation)
    key, conv = bus.keys.dead(device.conversation), bus.keys.conv(device.conversation)
    before = [await bus.command("DUMP", one) for one in (key, conv)]
    await mark(bus, device.conversation, letters)
    await new_try(memory_store).run(device.conversation)
    objects = await names(memory_store, device.conversation)
    for one, dump in zip((key, conv), before, strict=True):
        await bus.command("RESTORE", one, 0, dump, "REPLACE")
    await mark(bus, device.conversation, letters)
    second = new_try(memory_store)
    await second.run(device.conversation)
    assert await names(memory_store, device.conversation) == objects
    assert await packets_of(memory_store) == device.sent
    assert second.metrics.letters.tries["found"]._value.get() == 3
    balance = await exact(bus, device.conversation)
    assert (balance.difference, balance.dead) == (0, 0)


async def test_what_may_be_taken_away_again_is_not_relied_on(
    letters, device, bus, memory_store, new_worker, new_try, packets_of
):
    """What the letters hold lies there as the rest of what is cut out, which is announced and not in its place."""
    await new_worker(memory_store).drain(device.conversation)
    before = {*await names(memory_store, device.conversation)}
    await mark(bus, device.conversation, letters)
    keys = (bus.keys.dead(device.conversation), bus.keys.conv(device.conversation))
    kept = [await bus.command("DUMP", key) for key in keys]
    await new_try(memory_store).run(device.conversation)
    rests = {*await names(memory_store, device.conversation)} - before
    for key, dump in zip(keys, kept, strict=True):
        await bus.command("RESTORE", key, 0, dump, "REPLACE")
    for rest in rests:
        await bus.command("HSET", bus.keys.replacing(device.conversation), rest, "7:9")
    await new_try(memory_store).run(device.conversation)
    assert (await exact(bus, device.conversation)).dead == 0
    for rest in rests:
        await memory_store.delete(rest)
    assert await packets_of(memory_store) == device.sent


async def test_a_lost_reply_of_the_put_is_made_good(
    letters, device, bus, memory_store, new_worker, new_try, packets_of
):
    await new_worker(memory_store).drain(device.conversation)

    class Loses:
        lose = True

        def __getattr__(self, name):
            return getattr(memory_store, name)

        async def put(self, *args, **kwargs):
            info = await memory_store.put(*args, **kwargs)
            if self.lose:
                self.lose = False
                raise TransientStoreError("the reply was lost")
            return info

    await mark(bus, device.conversation, letters)
    losing = Loses()
    await new_try(losing).run(device.conversation)
    objects = await names(memory_store, device.conversation)
    assert len(objects) == 2
    await new_try(losing).run(device.conversation)
    assert await names(memory_store, device.conversation) == objects
    assert await packets_of(memory_store) == device.sent
    assert (await exact(bus, device.conversation)).dead == 0


async def test_a_name_that_other_runs_have_is_left_to_them(
    letters, device, bus, memory_store, new_worker, new_try, packets_of
):
    await new_worker(memory_store).drain(device.conversation)
    await mark(bus, device.conversation, letters[:1])
    whole = {}

    class Taken:
        def __getattr__(self, name):
            return getattr(memory_store, name)

        async def put(self, name, *args, **kwargs):
            if not whole:
                whole[name] = await memory_store.put(name, b"others", content_type="x", metadata={})
            return await memory_store.put(name, *args, **kwargs)

    await new_try(Taken()).run(device.conversation)
    [taken] = whole
    assert await memory_store.get(taken) == b"others"
    await memory_store.delete(taken)
    assert len(await packets_of(memory_store)) == 300
    assert (await exact(bus, device.conversation)).difference == 0


async def test_a_letter_that_is_dropped_while_it_is_put_does_not_stay_in_the_bucket(
    letters, device, bus, memory_store, new_worker, new_try, packets_of, clock
):
    await new_worker(memory_store).drain(device.conversation)
    await mark(bus, device.conversation, letters[:2])

    class Drops:
        done = False

        def __getattr__(self, name):
            return getattr(memory_store, name)

        async def put(self, *args, **kwargs):
            info = await memory_store.put(*args, **kwargs)
            if not self.done:
                self.done = True
                await discard(bus, device.conversation, letters[0], clock())
            return info

    await new_try(Drops()).run(device.conversation)
    assert (
        len(await packets_of(memory_store)) == 300
    )  # all but the dropped one, and the one that nobody marked
    balance = await exact(bus, device.conversation)
    assert (balance.difference, balance.dead, balance.deleted) == (0, 48_000, 48_000)
    for name in await gone(bus, device.conversation):
        assert name not in await names(memory_store, device.conversation)


async def test_a_deletion_while_it_is_put_wins(
    letters, device, bus, memory_store, new_worker, new_try, clock
):
    await new_worker(memory_store).drain(device.conversation)
    [before] = await names(memory_store, device.conversation)
    await mark(bus, device.conversation, letters)

    class Deletes:
        def __getattr__(self, name):
            return getattr(memory_store, name)

        async def put(self, *args, **kwargs):
            info = await memory_store.put(*args, **kwargs)
            await set_tombstone(bus, device.conversation, clock())
            await sweep(bus, device.conversation, clock())
            return info

    await new_try(Deletes()).run(device.conversation)
    assert await names(memory_store, device.conversation) == [before]
    await new_try(memory_store).run(device.conversation)
    assert await names(memory_store, device.conversation) == [before]


async def test_a_cut_of_another_build_is_given_up_and_its_name_with_it(
    letters, device, bus, memory_store, new_worker, new_try, packets_of
):
    await new_worker(memory_store).drain(device.conversation)
    await mark(bus, device.conversation, letters)
    key = bus.keys.dead(device.conversation)
    whole = msgspec.msgpack.decode(await bus.command("HGET", key, str(letters[1])))
    whole["fields"][b"c"] = b"\x9d\x02 of a later version"
    await bus.command("HSET", key, str(letters[1]), msgspec.msgpack.encode(whole))
    prefix = conversation_prefix(*device.conversation)
    cut = LettersCut(1, tuple(map(str, letters)), f"{prefix}1.000-2.000.batch.bin", "standard")
    assert await dead.cut(bus, device.conversation, cut, now_ms=0) == CutStands()
    await new_try(memory_store).run(device.conversation)
    assert len(await packets_of(memory_store)) == 350
    assert cut.name in await gone(bus, device.conversation)
    assert "version 2" in dead.last_try(await letter(bus, device.conversation, letters[1]))


async def test_a_mark_of_which_nobody_was_told_is_found_by_the_walk(
    letters, device, bus, hints, memory_store, new_worker, metrics, clock, packets_of
):
    """It was marked, and whoever did so died; or all that lists what to look at is older than the mark."""
    worker = new_worker(memory_store)
    await worker.drain(device.conversation)
    await mark(bus, device.conversation, letters)
    clock.pass_s(2 * 86_400)
    await bus.forget(device.conversation, clock())
    await bus.command("DEL", bus.keys.due(0), bus.keys.ready(0))
    await Scheduler(bus, hints, metrics, worker.unstored, 30_000, 60_000, clock).walk()
    assert await bus.command("ZRANGE", bus.keys.due(0), 0, -1) == [device.conversation.tag.encode()]
    assert metrics.dead_letters.value == 3
    await worker.drain(device.conversation)
    assert await packets_of(memory_store) == device.sent
    assert metrics.dead_letters.value == 0
    assert (await exact(bus, device.conversation)).difference == 0


async def test_a_process_that_shall_end_leaves_the_rest_to_others(
    letters, device, bus, memory_store, new_worker, new_try, clock
):
    await new_worker(memory_store).drain(device.conversation)
    await mark(bus, device.conversation, letters)
    second = new_try(memory_store)
    second.stopping = lambda: True
    await second.run(device.conversation)
    assert (await exact(bus, device.conversation)).dead == 3 * 48_000
    assert float(await bus.command("ZSCORE", bus.keys.due(0), device.conversation.tag)) <= clock()


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_process_that_is_paused_beyond_its_lease_stores_nothing_twice(
    when, letters, device, bus, memory_store, new_worker, new_try, packets_of
):
    """While it stands still around its put, another one does all of it, and more is marked and stored."""
    await new_worker(memory_store).drain(device.conversation)
    await mark(bus, device.conversation, letters[:2])

    class Pauses:
        paused = False

        def __getattr__(self, name):
            return getattr(memory_store, name)

        async def put(self, *args, **kwargs):
            if when == "after":
                await memory_store.put(*args, **kwargs)
            if not self.paused:
                self.paused = True
                await new_try(memory_store).run(device.conversation)
                await mark(bus, device.conversation, letters[2:])
                await new_try(memory_store).run(device.conversation)
            return await memory_store.put(*args, **kwargs)

    await new_try(Pauses()).run(device.conversation)
    await new_try(memory_store).run(device.conversation)
    assert await packets_of(memory_store) == device.sent
    balance = await exact(bus, device.conversation)
    assert (balance.difference, balance.dead, balance.waiting) == (0, 0, 0)


async def test_a_put_that_was_paused_until_its_letter_was_dropped_goes_again(
    letters, device, bus, memory_store, new_worker, new_try, packets_of, clock
):
    await new_worker(memory_store).drain(device.conversation)
    await mark(bus, device.conversation, letters[:1])

    class Pauses:
        def __getattr__(self, name):
            return getattr(memory_store, name)

        async def put(self, *args, **kwargs):
            await discard(bus, device.conversation, letters[0], clock())
            return await memory_store.put(*args, **kwargs)

    await new_try(Pauses()).run(device.conversation)
    assert len(await packets_of(memory_store)) == 250
    balance = await exact(bus, device.conversation)
    assert (balance.difference, balance.dead, balance.deleted) == (0, 2 * 48_000, 48_000)
