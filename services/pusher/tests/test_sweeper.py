"""The buckets are swept of what was deleted until no put can be under way."""

import pytest

from audiobus.deletions import gone, set_tombstone, sweep, unstore
from audiostore.errors import TransientStoreError
from audiostore.waveform_names import waveform_name, waveform_names
from pusher.circuit import OPENS_AFTER
from pusher.sweeper import AGAIN_MS, AT_ONCE, SOON_MS, UNTIL_MS, Sweeper, next_sweep_ms


async def names(store) -> list[str]:
    return [info.name async for info in store.list("")]


async def put(store, *paths: str) -> None:
    for path in paths:
        await store.put(path, b"x", content_type="audio/ogg", metadata={})


@pytest.fixture
def sweeper(bus, metrics) -> Sweeper:
    return Sweeper(bus, metrics.books)


@pytest.fixture
async def stored(device, bus, new_worker, memory_store):
    """Ten seconds, stored."""
    await device.open()
    await device.say(10)
    await bus.ask(device.conversation, "flush")
    await new_worker(memory_store).drain(device.conversation)
    return device


class Broken:
    """A bucket that is away."""

    def list(self, prefix, after=""):
        raise TransientStoreError("away")

    async def delete(self, name):
        raise TransientStoreError("away")


@pytest.mark.parametrize(
    ("age_ms", "pause_ms"),
    [
        (0, SOON_MS),
        (AGAIN_MS - 1, SOON_MS),
        (AGAIN_MS, AGAIN_MS),
        (UNTIL_MS - 5, 5),
        (UNTIL_MS, None),
        (10**12, None),
        (-5_000, AGAIN_MS),  # another machine's clock
    ],
)
def test_when_it_is_swept_again(age_ms, pause_ms, clock):
    expected = None if pause_ms is None else clock.ms + pause_ms
    assert next_sweep_ms(clock.ms - age_ms, clock.ms) == expected


async def test_everything_of_the_conversation_goes_and_nothing_else(
    stored, sweeper, bus, memory_store, state_of, clock, conversation, metrics
):
    await put(memory_store, *(f"chunks/{conversation.tag}/{number}.bin" for number in range(3 * AT_ONCE)))
    kept = [f"chunks/{conversation.tag}0/1.bin", f"chunks/{conversation.uid}/other/1.bin"]
    await put(memory_store, *kept)
    await set_tombstone(bus, conversation, clock())
    await sweep(bus, conversation, clock())
    assert await sweeper.sweep([memory_store], conversation, clock(), clock()) == clock() + SOON_MS
    assert sorted(await names(memory_store)) == sorted(kept)
    state = await state_of()
    assert (state.stored_samples, state.deleted_samples) == (0, state.received_samples)
    deleted = metrics.process.registry.get_sample_value("tapedeck_audio_deleted_seconds_total")
    assert deleted == pytest.approx(10 - 312 / 48_000)
    assert await sweeper.sweep([memory_store], conversation, clock() - UNTIL_MS, clock()) is None


async def test_kept_waveforms_go_with_the_audio_and_after_it(sweeper, bus, memory_store, clock, stored):
    [audio] = await names(memory_store)
    beside = waveform_name("chunks/u/other/1700000000.000-1700000001.000.batch.bin", sealed=False)
    await put(memory_store, *waveform_names(audio), beside)
    await set_tombstone(bus, stored.conversation, clock())
    await sweep(bus, stored.conversation, clock())
    deleted = []

    class Noting:
        list = memory_store.list

        async def delete(self, name):
            deleted.append(name)
            await memory_store.delete(name)

    await sweeper.sweep([Noting()], stored.conversation, clock(), clock())
    assert deleted == [audio, *waveform_names(audio)]
    assert await names(memory_store) == [beside]


async def test_kept_waveforms_of_a_name_go_with_it_and_no_others(
    stored, sweeper, bus, memory_store, clock, conversation
):
    [audio] = await names(memory_store)
    beside = waveform_name(audio.replace(".batch", "9.batch"), sealed=False)
    await put(memory_store, *waveform_names(audio), beside)
    await unstore(bus, conversation, {audio: 0}, clock())
    await sweeper.sweep_names([memory_store], conversation, clock())
    assert await names(memory_store) == [beside]


async def test_a_bucket_that_is_away_hinders_no_other_and_leaves_it_counted(
    stored, sweeper, bus, memory_store, state_of, clock, conversation
):
    await set_tombstone(bus, conversation, clock())
    with pytest.raises(TransientStoreError):
        await sweeper.sweep([Broken(), memory_store], conversation, clock(), clock())
    assert await names(memory_store) == []
    assert (await state_of()).stored_samples > 0  # not known to be gone


async def test_a_bucket_that_is_left_out_is_swept_later_however_long_that_takes(
    stored, sweeper, bus, memory_store, state_of, clock, conversation
):
    await set_tombstone(bus, conversation, clock())
    since_ms, other = clock(), Broken()
    for _ in range(2):
        again_ms = await sweeper.sweep([memory_store], conversation, since_ms, clock(), left_out=[other])
        assert clock() < again_ms <= clock() + AGAIN_MS
        assert (await state_of()).stored_samples > 0  # it may hold some of it
        clock.pass_s(UNTIL_MS / 1000)
    assert await names(memory_store) == []
    assert await sweeper.sweep([memory_store], conversation, since_ms, clock()) is None
    assert (await state_of()).stored_samples == 0


async def test_names_are_deleted_until_nobody_can_put_them(
    stored, sweeper, bus, memory_store, clock, conversation
):
    [name] = await names(memory_store)
    set_ms = clock()
    await unstore(bus, conversation, {name: 0}, set_ms)
    await sweeper.sweep_names([memory_store], conversation, clock())
    assert await names(memory_store) == []
    assert await gone(bus, conversation) == {name: set_ms}
    await put(memory_store, name)  # a put that was on its way
    clock.pass_s(UNTIL_MS / 1000)
    await sweeper.sweep_names([Broken(), memory_store], conversation, clock())
    assert await gone(bus, conversation) == {name: set_ms}
    assert await names(memory_store) == []  # one that fails hinders no other
    await sweeper.sweep_names([memory_store], conversation, clock())
    assert await names(memory_store) == []
    assert await gone(bus, conversation) == {name: 0}
    assert not (await bus.state(conversation)).gone
    await put(memory_store, name)
    await sweeper.sweep_names([memory_store], conversation, clock())
    assert await names(memory_store) == [name]


class Counts:
    """A bucket whose deletes fail while it is away."""

    def __init__(self) -> None:
        self.asked = 0
        self.away = True

    async def delete(self, name):
        self.asked += 1
        if self.away:
            raise TransientStoreError("away")


async def test_a_bucket_that_fails_is_not_asked_at_each_look(sweeper, bus, memory_store, clock, conversation):
    """It may take a minute to fail, and what the conversation records on waits meanwhile."""
    set_ms = clock()
    await unstore(bus, conversation, {f"chunks/{conversation.tag}/{n}.bin": 0 for n in range(5)}, set_ms)
    bucket = Counts()
    for _ in range(3):
        clock.pass_s(10)
        await sweeper.sweep_names([memory_store, bucket], conversation, clock())
    assert bucket.asked == 1
    bucket.away = False
    clock.pass_s(AGAIN_MS / 1000)
    await sweeper.sweep_names([memory_store, bucket], conversation, clock())
    assert bucket.asked == 1 + 15  # each name, and what may be derived of it
    clock.pass_s(-3600)
    sweeper._later[bucket] = clock() + 3_600_000  # put down by a clock that was ahead
    await sweeper.sweep_names([memory_store, bucket], conversation, clock())
    assert bucket.asked == 1 + 15 + 15


async def test_no_name_is_deleted_again_at_the_next_look(sweeper, bus, clock, conversation):
    """A look comes with each batch, and after a deletion of hundreds of objects each name would be asked for again each time."""
    bucket, begun, counts = Counts(), clock(), []
    bucket.away = False
    await unstore(bus, conversation, {f"chunks/{conversation.tag}/{n}.bin": 0 for n in range(20)}, clock())
    for pause_s in (0, 1, 13, 1, 14, 1, 40, 59, 1):
        clock.pass_s(pause_s)
        await sweeper.sweep_names([bucket], conversation, clock())
        counts.append(bucket.asked // 60)
    assert counts == [1, 1, 1, 2, 2, 3, 4, 4, 5]
    # What is noted since is deleted at once, and nothing else.
    await unstore(bus, conversation, {f"chunks/{conversation.tag}/new.bin": 0}, clock())
    await sweeper.sweep_names([bucket], conversation, clock())
    assert bucket.asked == 5 * 60 + 3
    # The last sweep of each comes when no put can be under way, and not before.
    clock.pass_s((begun + UNTIL_MS - clock()) / 1000 - 0.001)
    await sweeper.sweep_names([bucket], conversation, clock())
    assert set((await gone(bus, conversation)).values()) != {0}
    asked = bucket.asked
    clock.pass_s(0.001)
    await sweeper.sweep_names([bucket], conversation, clock())
    assert bucket.asked == asked + 60
    assert sorted((await gone(bus, conversation)).values())[:-1] == [0] * 20


async def test_another_process_and_one_that_starts_anew_begin_at_once(
    stored, bus, metrics, memory_store, clock, conversation
):
    [name] = await names(memory_store)
    await unstore(bus, conversation, {name: 0}, clock())
    for _ in range(3):
        await Sweeper(bus, metrics.books).sweep_names([memory_store], conversation, clock())
        assert await names(memory_store) == []
        await put(memory_store, name)


async def test_while_another_bucket_is_away_what_is_over_is_not_deleted_at_each_look(
    sweeper, bus, clock, conversation
):
    bucket, other = Counts(), Counts()
    bucket.away = False
    await unstore(bus, conversation, {f"chunks/{conversation.tag}/1.bin": 0}, clock())
    clock.pass_s(UNTIL_MS / 1000)
    for _ in range(6):
        await sweeper.sweep_names([bucket, other], conversation, clock())
        clock.pass_s(10)
    assert (bucket.asked, other.asked) == (3, 1)
    other.away = False
    await sweeper.sweep_names([bucket, other], conversation, clock())
    assert (bucket.asked, other.asked) == (6, 4)
    assert set((await gone(bus, conversation)).values()) == {0}


async def test_a_bucket_that_is_known_to_be_away_is_not_asked(
    sweeper, bus, memory_store, clock, conversation, new_buckets
):
    name = f"chunks/{conversation.tag}/1.bin"
    await unstore(bus, conversation, {name: 0}, clock())
    clock.pass_s(UNTIL_MS / 1000)
    bucket = Counts()
    buckets = new_buckets(memory_store, bucket)
    for _ in range(OPENS_AFTER):
        buckets.second.circuit.failed(clock(), clock(), "away", operators=False)
    await sweeper.sweep_names(buckets.all, conversation, clock())
    assert bucket.asked == 0
    assert (await gone(bus, conversation))[name] != 0  # it stays noted
    buckets.second.circuit.worked(clock())
    bucket.away = False
    await sweeper.sweep_names(buckets.all, conversation, clock())
    assert await gone(bus, conversation) == {name: 0}


@pytest.mark.parametrize(
    "stands", [b"\xc1 damaged", b"\x94\x02\x90\xa0\xa0"], ids=["damaged", "later version"]
)
async def test_what_is_recorded_does_not_wait_for_a_letters_cut_that_cannot_be_read(
    *, stands, stored, bus, memory_store, new_worker, packets_of, conversation, clock
):
    """The names stay noted: one of them may be that cut's."""
    other = f"chunks/{conversation.tag}/1.000-2.000.batch.bin"
    await unstore(bus, conversation, {other: 0}, clock())
    await bus.command("HSET", bus.keys.conv(conversation), "again_cut", stands)
    set_ms = clock()
    clock.pass_s(UNTIL_MS / 1000 + 60)
    await put(memory_store, other)
    await stored.say(5)
    await bus.ask(conversation, "flush")
    await new_worker(memory_store).drain(conversation)
    assert other not in await names(memory_store)
    assert await packets_of(memory_store) == stored.sent
    assert await gone(bus, conversation) == {other: set_ms}
    await bus.command("HDEL", bus.keys.conv(conversation), "again_cut")
    clock.pass_s(60)
    await new_worker(memory_store).drain(conversation)
    assert await gone(bus, conversation) == {other: 0}
