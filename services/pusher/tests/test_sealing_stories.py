"""Stories of sealed conversations, played on the real code: levels that change, keys that change or are missing, lost replies."""

import itertools

import pytest

from audiobus import decode_cut
from audiostore import open_store
from audiostore.errors import TransientStoreError
from audiostore.names import conversation_prefix
from audiostore.sealing import sealed_key_id
from pusher.cutter import Limits
from pusher.maker import Maker


@pytest.fixture
def level(bus, conversation):
    """Sets the user's protection level."""

    async def set_level(level: str, uid: str = conversation.uid) -> None:
        await bus.command("HSET", bus.keys.user(uid), "protection", level)

    return set_level


@pytest.fixture
def with_keys(new_worker, new_keys):
    """A worker of a process that was started with these keys."""
    return lambda store, *ids, **fields: new_worker(store, maker=Maker(new_keys(*ids)), **fields)


@pytest.fixture
def kinds(conversation):
    """Suffixes of everything that a store holds, in order; and that nothing sealed shows a packet or a tag."""

    async def read(store, device) -> list[str]:
        found = []
        async for info in store.list(conversation_prefix(*conversation)):
            data = await store.get(info.name)
            found.append(info.name[-3:])
            if found[-1] == "enc":
                assert data.startswith(b"TDSEAL01")
                assert b"OggS" not in data
                assert b"TAPEDECK" not in data
                assert not any(packet in data for _, packet in device.sent)
        return found

    return read


class LosesReply:
    """A store that does the first put, and whose reply gets lost."""

    def __init__(self, real) -> None:
        self._real = real
        self._left = 1

    def __getattr__(self, name):
        return getattr(self._real, name)

    async def put(self, *args, **kwargs):
        answer = await self._real.put(*args, **kwargs)
        if self._left:
            self._left -= 1
            raise TransientStoreError("the reply is lost")
        return answer


@pytest.fixture
def losing_replies():
    return LosesReply


async def test_6_and_19_a_sealed_cut_stays_sealed_whatever_the_settings_become(
    *, bus, device, store, with_keys, losing_replies, level, kinds, packets_of, state_of, clock, metrics
):
    """Put sealed, the reply lost; the user becomes standard and the keys are rotated; the retry finds its own object."""
    await level("enhanced")
    await device.open()
    await device.say(5)
    await bus.ask(device.conversation, "flush")
    await with_keys(losing_replies(store), "k1").drain(device.conversation)
    cut = decode_cut((await state_of()).cut)
    assert (cut.protection, cut.name[-4:]) == ("enhanced", ".enc")
    await level("standard")
    clock.pass_s(10)
    await with_keys(store, "k2", "k1").drain(device.conversation)
    assert await kinds(store, device) == ["enc"]
    assert await packets_of(store) == device.sent
    assert sealed_key_id(await store.get(cut.name)) == "k1"
    assert metrics.puts["found"]._value.get() == 1


async def test_19_a_sealed_cut_that_was_never_put_is_sealed_with_the_key_of_the_retry(
    *, bus, device, store, with_keys, failing_store, level, kinds, packets_of, state_of, clock
):
    await level("enhanced")
    await device.open()
    await device.say(5)
    await bus.ask(device.conversation, "flush")
    failing = failing_store(store, [TransientStoreError("away")])
    await with_keys(failing, "k1").drain(device.conversation)
    name = decode_cut((await state_of()).cut).name
    await level("standard")
    await device.say(5)
    await bus.ask(device.conversation, "flush")
    clock.pass_s(10)
    await with_keys(store, "k2", "k1").drain(device.conversation)
    assert await kinds(store, device) == ["enc", "bin"]
    assert await packets_of(store) == device.sent
    assert sealed_key_id(await store.get(name)) == "k2"


async def test_6_a_plain_cut_stays_plain_and_the_next_one_is_sealed(
    *, bus, device, store, with_keys, losing_replies, level, kinds, packets_of, clock
):
    await device.open()
    await device.say(5)
    await bus.ask(device.conversation, "flush")
    await with_keys(losing_replies(store), "k1").drain(device.conversation)
    await level("enhanced")
    await device.say(5)
    await bus.ask(device.conversation, "flush")
    clock.pass_s(10)
    await with_keys(store, "k1").drain(device.conversation)
    assert await kinds(store, device) == ["bin", "enc"]
    assert await packets_of(store) == device.sent


async def test_a_level_that_changes_in_mid_conversation_changes_with_the_next_batch(
    *, bus, device, store, with_keys, level, kinds, packets_of, batches
):
    await device.open()
    worker = with_keys(store, "k1", limits=Limits(batch_ms=10_000))
    for wanted in ("standard", "enhanced", "standard"):
        await level(wanted)
        await device.say(10)
        await bus.ask(device.conversation, "flush")
        await worker.drain(device.conversation)
    found = await kinds(store, device)
    assert [kind for kind, _batches in itertools.groupby(found)] == ["bin", "enc", "bin"]
    assert await packets_of(store) == device.sent
    # The run goes on across the levels: each later file has its pre-roll.
    assert [bool(batch.preroll) for batch in await batches(store)] == [False, *[True] * (len(found) - 1)]


async def test_without_a_key_nothing_is_put_and_all_of_it_later(
    *, bus, device, store, with_keys, level, kinds, packets_of, state_of, clock, metrics, caplog
):
    await level("enhanced")
    await device.open()
    await device.say(130)
    await bus.ask(device.conversation, "end")
    worker = with_keys(store)
    for _ in range(3):
        await worker.drain(device.conversation)
        clock.pass_s(400)
    assert await kinds(store, device) == []
    state = await state_of()
    assert (state.cut, state.waiting_samples) == (None, 130 * 48_000 - 312)
    assert metrics.unsealed._value.get() == 3
    (complaint,) = worker.kept_back.complaints(clock())
    assert complaint.startswith("1 conversations kept back: the audio must be sealed and there is no key")
    assert [record.levelname for record in caplog.records] == ["CRITICAL"] * 3
    assert device.conversation.uid not in complaint + caplog.records[0].error
    await with_keys(store, "k1").drain(device.conversation)
    assert set(await kinds(store, device)) == {"enc"}
    assert await packets_of(store) == device.sent


async def test_the_complaint_ends_when_it_goes_on(bus, device, store, new_keys, with_keys, level, clock):
    await level("enhanced")
    await device.open()
    await device.say(5)
    await bus.ask(device.conversation, "end")
    worker = with_keys(store)
    await worker.drain(device.conversation)
    assert worker.kept_back.complaints(clock())
    worker.maker.keys = new_keys("k1")
    clock.pass_s(400)
    await worker.drain(device.conversation)
    assert worker.kept_back.complaints(clock()) == []


async def test_a_sealed_cut_waits_where_the_key_is_gone(
    *, bus, device, store, with_keys, failing_store, level, kinds, packets_of, state_of, clock, metrics
):
    await level("enhanced")
    await device.open()
    await device.say(5)
    await bus.ask(device.conversation, "end")
    await with_keys(failing_store(store, [TransientStoreError("away")]), "k1").drain(device.conversation)
    standing = (await state_of()).cut
    await level("standard")
    await with_keys(store).drain(device.conversation)
    assert await kinds(store, device) == []
    assert (await state_of()).cut == standing
    assert metrics.unsealed._value.get() == 1
    await with_keys(store, "k1").drain(device.conversation)
    assert await kinds(store, device) == ["enc"]
    assert await packets_of(store) == device.sent


async def test_a_level_that_is_not_known_keeps_everything_back(
    *, bus, device, memory_store, with_keys, level, kinds, packets_of, clock, metrics
):
    await level("something new")
    await device.open()
    await device.say(5)
    await bus.ask(device.conversation, "end")
    await with_keys(memory_store, "k1").drain(device.conversation)
    assert await kinds(memory_store, device) == []
    assert metrics.unsealed._value.get() == 1
    await level("enhanced")
    await with_keys(memory_store, "k1").drain(device.conversation)
    assert await packets_of(memory_store) == device.sent


async def test_what_redis_forgot_is_found_in_sealed_objects_too(
    *, bus, device, store, with_keys, level, kinds, packets_of, state_of
):
    await level("enhanced")
    await device.open()
    await device.say(100)
    before = await bus.client.dump(bus.keys.audio(device.conversation))
    hash_before = await bus.client.dump(bus.keys.conv(device.conversation))
    await bus.ask(device.conversation, "flush")
    await with_keys(store, "k1", limits=Limits(batch_ms=17_000)).drain(device.conversation)
    await bus.client.restore(bus.keys.audio(device.conversation), 0, before, replace=True)
    await bus.client.restore(bus.keys.conv(device.conversation), 0, hash_before, replace=True)
    await device.say(3)
    await bus.ask(device.conversation, "end")
    await with_keys(store, "k2", "k1").drain(device.conversation)
    assert await packets_of(store) == device.sent
    assert (await state_of()).waiting_samples == 0


async def test_where_only_a_missing_key_tells_what_is_stored_it_waits_for_the_key(
    *, bus, device, tmp_path, with_keys, level, kinds, packets_of, state_of, clock, metrics
):
    """A folder keeps no metadata; Redis forgot, and the key was taken out of the ring too early."""
    folder = open_store(f"file://{tmp_path}/folder")
    await level("enhanced")
    await device.open()
    await device.say(5)
    before = await bus.client.dump(bus.keys.audio(device.conversation))
    hash_before = await bus.client.dump(bus.keys.conv(device.conversation))
    await bus.ask(device.conversation, "end")
    await with_keys(folder, "k1").drain(device.conversation)
    await bus.client.restore(bus.keys.audio(device.conversation), 0, before, replace=True)
    await bus.client.restore(bus.keys.conv(device.conversation), 0, hash_before, replace=True)
    await bus.ask(device.conversation, "end")
    worker = with_keys(folder, "k2")
    await worker.drain(device.conversation)
    assert await kinds(folder, device) == ["enc"]
    assert (await state_of()).waiting_samples == 5 * 48_000 - 312
    assert metrics.unsealed._value.get() == 1
    assert "'k1', which is not in the key ring" in worker.kept_back.complaints(clock())[0]
    await with_keys(folder, "k2", "k1").drain(device.conversation)
    assert await kinds(folder, device) == ["enc"]
    assert await packets_of(folder) == device.sent
    assert (await state_of()).waiting_samples == 0
    await folder.close()


async def test_one_that_nobody_can_open_any_more_keeps_the_name_but_not_the_audio(
    *, bus, device, tmp_path, with_keys, losing_replies, level, state_of, conversation, clock, ring
):
    """The stored object is damaged before its audio is settled: the audio is stored again beside it, for it was stored nowhere."""
    folder = open_store(f"file://{tmp_path}/folder")
    await level("enhanced")
    await device.open()
    await device.say(5)
    await bus.ask(device.conversation, "end")
    await with_keys(losing_replies(folder), "k1").drain(device.conversation)
    (info,) = [info async for info in folder.list("chunks/")]
    file = tmp_path / "folder" / info.name
    file.chmod(0o644)
    damaged = bytearray(file.read_bytes())
    damaged[-1] ^= 1
    file.write_bytes(damaged)
    clock.pass_s(10)
    await with_keys(folder, "k1").drain(device.conversation)
    assert len([info async for info in folder.list(conversation_prefix(*conversation))]) == 2
    assert (await state_of()).waiting_samples == 0
    await folder.close()
