"""What others left, or give up while a part is deleted: names that are noted, a turn that is lost during a put, and what a pre-roll still holds."""

import pytest

from audiobus.deletions import noted, unstore
from audiobus.replacing import Replacing
from audiostore.errors import TransientStoreError
from audiostore.legacy import parse_audio_name
from audiostore.names import BatchName
from storage_api.cutting.new_object import NewObject
from storage_api.cutting.place import LostError, Place


async def test_a_name_that_is_noted_meanwhile_is_not_cut_and_not_counted(
    api, tape, cutter, store, conversation, one_bus, speech, monkeypatch
):
    await tape.record(speech[: 6 * 32_000])
    await tape.drain(0, 3)
    [second] = await tape.drain(3, len(tape.chunks))
    real = Place.begin

    async def begin(self):
        answer = await real(self)
        await unstore(one_bus, conversation, {second: 0}, 1)
        return answer

    monkeypatch.setattr(Place, "begin", begin)
    answer = await cutter.stretch(api, 2.0, 4.0)
    assert answer.status_code == 200
    assert answer.json()["deleted_seconds"] == pytest.approx(1.0, abs=0.05)


async def test_a_put_that_comes_when_the_turn_is_lost_is_taken_back(store, conversation, one_bus):
    mine, other = Replacing(one_bus, conversation), Replacing(one_bus, conversation)
    assert await mine.hold()

    class Slow:
        def __getattr__(self, name):
            return getattr(store, name)

        async def put(self, *args, **kwargs):
            await one_bus.command("DEL", one_bus.keys.replacing_lease(conversation))
            assert await other.hold()
            return await store.put(*args, **kwargs)

    place = Place(Slow(), mine)
    name = BatchName(conversation.uid, conversation.cid, 1_000, 2_000, sealed=False)
    with pytest.raises(LostError):
        await place.put(NewObject(name, b"x", "audio/ogg", {}))
    assert [info.name async for info in store.list("chunks/")] == []


async def test_a_pre_roll_goes_that_holds_what_went_with_an_object_that_was_left(
    api, tape, cutter, store, conversation, one_bus, encode, speech, packets
):
    """Killed after it was noted and before it was deleted: the object tells what it held for the last time."""
    chunks = encode(speech[: 8 * 32_000])
    await tape.open()
    await tape.append(chunks[:4])
    [name] = await tape.drain(0, 4)
    samples = sum(chunk.samples for chunk, _ in chunks[:4])
    await unstore(one_bus, conversation, {name: samples}, 1)
    await tape.append(chunks[4:])
    await tape.drain(4, len(chunks))
    left = {packet for chunk, _ in chunks[:4] for packet in chunk.packets}
    assert await packets(store) & left
    assert (await cutter.stretch(api, 0.0, 0.1)).status_code == 200
    assert not await packets(store) & left


async def test_a_time_at_which_a_rest_began_that_was_withdrawn_is_not_done(
    api, tape, cutter, store, speech, names, monkeypatch
):
    await tape.record(speech[: 4 * 32_000])
    [name] = await tape.drain(0, len(tape.chunks))

    async def away(*_):
        raise TransientStoreError("away")

    with monkeypatch.context() as patch:
        patch.setattr(Place, "replace", away)
        assert (await cutter.stretch(api, None, 2.0)).status_code == 503
    assert await names(store, "chunks/") == [name]
    rest = next(iter(await noted(cutter.bus, cutter.conversation)))
    at_s = parse_audio_name(rest).start_ms / 1000
    assert at_s == pytest.approx(1_700_000_002, abs=0.03)
    assert (await cutter.chunks(api, f"{at_s:.3f}")).json()["deleted_objects"] == 1
    assert await names(store, "chunks/") == []


async def test_a_cut_of_letters_that_cannot_be_read_is_in_nobodys_way(
    api, tape, cutter, store, conversation, one_bus, speech, names
):
    """It matters only where it speaks of what is deleted."""
    await tape.record(speech[: 4 * 32_000])
    [name] = await tape.drain(0, len(tape.chunks))
    await one_bus.command("HSET", one_bus.keys.conv(conversation), "again_cut", b"\xc1 of nobody knows")
    assert (await cutter.stretch(api, 1.0, 2.0)).json()["deleted_objects"] == 1
    assert name not in await names(store, "chunks/")
