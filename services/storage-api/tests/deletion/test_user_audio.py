"""The operation that deletes a user's audio: what its passes go over, and what one of them that fails leaves for the next."""

import time

import msgspec
import pytest

from audiobus import Conversation, Cut, EntryId, operations
from audiobus.census import exact
from audiobus.deletions import expunge
from audiostore.errors import StoreConfigurationError, TransientStoreError
from audiostore.names import conversation_prefix
from storage_api.deletion import user_audio
from storage_api.deletion.user_audio import AGAIN_MS, SETTLED_MS, UserAudio
from storage_api.moments import rfc3339_ms
from storage_api.operations.turn import Turn
from tapedeck_testing.switched_store import Switched


def conversation(number: int) -> Conversation:
    return Conversation("user-1", f"conv-{number}")


async def left_alone_ms(bus, operation_id: str) -> int:
    """So long from now the operation is looked at again."""
    seconds, micros = await bus.client.time()
    at_ms = int(await bus.command("ZSCORE", bus.keys.operations(), operation_id))
    return at_ms - seconds * 1000 - micros // 1000


async def test_a_conversation_that_fails_stops_none_after_it(
    api, tape_for, store, one_bus, leaving, names, stored, pcm_tone
):
    for number in (1, 2, 3):
        await stored(tape_for(conversation(number)), pcm_tone(2), parts=1)
    await one_bus.command("HSET", one_bus.keys.conv(conversation(1)), "dead", "damaged")
    operation_id = await leaving.begin(api)
    await leaving.turn(api.services, operation_id)
    assert all(name.startswith(conversation_prefix(*conversation(1))) for name in await names(store))
    said = await leaving.told(api, operation_id)
    assert (said["done"], said["progress"]["failed"], said["error"]["code"]) == (False, 1, "internal")
    leaving.settle()
    await leaving.turn(api.services, operation_id)
    assert not (await leaving.told(api, operation_id))["done"]
    await one_bus.command("HSET", one_bus.keys.conv(conversation(1)), "dead", "0")
    await leaving.turn(api.services, operation_id)
    assert await names(store) == []
    leaving.settle()
    await leaving.turn(api.services, operation_id)
    said = await leaving.told(api, operation_id)
    assert (said["done"], said["error"], said["result"]["deleted_objects"]) == (True, None, 6)


async def test_an_object_that_the_bucket_holds_stops_none_beside_or_after_it(
    serve, tape_for, store, one_bus, tmp_path, leaving, names, stored, pcm_tone
):
    class Holding(Switched):
        """Refuses to delete one object."""

        async def delete(self, name: str) -> None:
            if name in held:
                raise StoreConfigurationError(f"delete {name}: it is held")
            await self.real.delete(name)

    made = [await stored(tape_for(conversation(number)), pcm_tone(2), parts=1) for number in (1, 2)]
    held = [made[0][0]]
    async with serve(one_bus, Holding(store), tmp_path) as api:
        operation_id = await leaving.begin(api)
        await leaving.turn(api.services, operation_id)
        assert await names(store) == held
        said = await leaving.told(api, operation_id)
        assert said["error"]["code"] == "store_unavailable"
        assert "operator" in said["error"]["detail"]
        held.clear()
        await leaving.turn(api.services, operation_id)
        assert await names(store) == []


async def test_a_bucket_that_is_away_is_not_asked_for_every_conversation_and_none_is_passed_over_for_good(
    serve, tape_for, store, one_bus, tmp_path, leaving, names, stored, pcm_tone
):
    class Away(Switched):
        asked = 0

        async def list(self, prefix, *args, **kwargs):
            if prefix.startswith("chunks/user-1/conv"):
                Away.asked += 1
                if away:
                    raise TransientStoreError("away")
            async for info in self.real.list(prefix, *args, **kwargs):
                yield info

    for number in range(5):
        await stored(tape_for(conversation(number)), pcm_tone(1), parts=1)
    away = [True]
    async with serve(one_bus, Away(store), tmp_path) as api:
        operation_id = await leaving.begin(api)
        await leaving.turn(api.services, operation_id)
        assert Away.asked == user_audio.IN_A_ROW
        assert (await leaving.told(api, operation_id))["error"]["code"] == "store_unavailable"
        away.clear()
        await leaving.turn(api.services, operation_id)  # the rest of that pass
        assert len(await names(store)) > 0
        await leaving.turn(api.services, operation_id)  # those that failed
        assert await names(store) == []


async def test_only_what_was_left_is_looked_at_until_all_is_looked_at_once_more(
    api, tape_for, one_bus, leaving, stored, pcm_tone, monkeypatch
):
    for number in (1, 2):
        await stored(tape_for(conversation(number)), pcm_tone(2), parts=1)
    waits = tape_for(conversation(3))
    await waits.record(pcm_tone(2))
    everything = []
    real = user_audio.conversations_of_user

    async def counted(*args):
        everything.append(await real(*args))
        return everything[-1]

    monkeypatch.setattr(user_audio, "conversations_of_user", counted)
    operation_id = await leaving.begin(api)
    pauses = []
    for _ in range(3):
        await leaving.turn(api.services, operation_id)
        pauses.append(await left_alone_ms(one_bus, operation_id))
        progress = (await leaving.told(api, operation_id))["progress"]
    assert len(everything) == 1
    assert (progress["conversations"], progress["conversations_done"]) == (3, 2)
    assert (progress["phase"], progress["waiting"], progress["deleted_objects"]) == ("waiting", 1, 4)
    assert pauses[0] <= AGAIN_MS < pauses[1] <= 2 * AGAIN_MS < pauses[2] <= 4 * AGAIN_MS
    entries = {
        entry.id: entry.counted_samples
        for entry in await one_bus.read(waits.conversation, count=9)
        if entry.chunk
    }
    await expunge(one_bus, waits.conversation, entries, cut=None, name="", preroll=True, now_ms=leaving.ms)
    await leaving.turn(api.services, operation_id)
    assert not (await leaving.told(api, operation_id))["done"]
    leaving.settle()
    await leaving.turn(api.services, operation_id)
    assert (await leaving.told(api, operation_id))["done"]
    assert len(everything) == 2


async def test_progress_says_what_is_waited_for_and_never_goes_back(
    api, tape_for, one_bus, leaving, stored, pcm_tone, monkeypatch
):
    """One conversation of four goes first of all when audio of it, which waited, was seen to; all four are gone when all is looked at again."""
    for number in (1, 2, 3):
        await stored(tape_for(conversation(number)), pcm_tone(2), parts=1)
    waits = tape_for(conversation(4))
    await waits.record(pcm_tone(2))
    told = []
    real = Turn.save

    async def save(turn, step, progress):
        await real(turn, step, progress)
        told.append((await leaving.told(api, operation_id))["progress"])

    monkeypatch.setattr(Turn, "save", save)
    operation_id = await leaving.begin(api)
    await leaving.turn(api.services, operation_id)
    assert {one["phase"] for one in told[:-1]} == {"deleting"}
    assert all("waits_until" not in one for one in told[:-1])
    assert (told[-1]["phase"], told[-1]["waits_until"]) == ("waiting", rfc3339_ms(leaving.ms + AGAIN_MS))
    entries = {
        entry.id: entry.counted_samples
        for entry in await one_bus.read(waits.conversation, count=9)
        if entry.chunk
    }
    await expunge(one_bus, waits.conversation, entries, cut=None, name="", preroll=True, now_ms=leaving.ms)
    leaving.ms += 1000
    await leaving.turn(api.services, operation_id)
    changed_ms = msgspec.json.decode((await operations.find(one_bus, operation_id)).step)["changed_ms"]
    assert (told[-1]["phase"], told[-1]["waits_until"]) == ("settling", rfc3339_ms(changed_ms + SETTLED_MS))
    for number in (1, 2):
        await one_bus.command("DEL", one_bus.keys.conv(conversation(number)))
        await one_bus.note_not_live(conversation(number))
    leaving.settle()
    await leaving.turn(api.services, operation_id)
    assert (told[-1]["phase"], "waits_until" in told[-1]) == ("checking", False)
    done = [one["conversations_done"] for one in told]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, 4)
    assert {one["conversations"] for one in told} == {4}
    assert (await leaving.told(api, operation_id))["done"]


async def test_only_what_redis_knows_is_put_on_due(api, tape, tape_for, one_bus, leaving, stored, pcm_tone):
    await stored(tape, pcm_tone(2), parts=1)
    forgotten = tape_for(conversation(2))
    await stored(forgotten, pcm_tone(2), parts=1)
    keys = one_bus.keys
    await one_bus.command("DEL", keys.conv(conversation(2)), keys.audio(conversation(2)))
    await one_bus.note_not_live(conversation(2))
    await one_bus.command("DEL", keys.due(0))
    operation_id = await leaving.begin(api)
    seen = []
    real = api.services.hints.due

    async def due(conversation, at_ms):
        seen.append(conversation)
        await real(conversation, at_ms)

    api.services.hints.due = due
    await leaving.turn(api.services, operation_id)
    assert seen == [tape.conversation]


async def test_the_tombstone_is_set_again_at_each_turn(api, tape, one_bus, leaving, stored, pcm_tone):
    await stored(tape, pcm_tone(2))
    operation_id = await leaving.begin(api)
    key = one_bus.keys.user_tomb("user-1")
    before = await one_bus.command("GET", key)
    await one_bus.command("DEL", key)  # a failover
    await leaving.turn(api.services, operation_id)
    assert await one_bus.command("GET", key) == before


async def test_times_are_of_redis_clock_whatever_the_pod_thinks(
    api, tape, one_bus, leaving, stored, pcm_tone, monkeypatch
):
    await stored(tape, pcm_tone(2))
    operation_id = await leaving.begin(api)
    real_ns = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + 3_600_000_000_000)
    for _ in range(2):
        await leaving.turn(api.services, operation_id, UserAudio(api.services))
    assert not (await leaving.told(api, operation_id))["done"]
    assert 500_000 < await left_alone_ms(one_bus, operation_id) <= 600_000


async def test_dead_letters_that_cannot_be_read_are_told(api, tape, one_bus, leaving, stored, pcm_tone):
    await stored(tape, pcm_tone(2))
    await one_bus.command("HSET", one_bus.keys.dead(tape.conversation), "none of ours", "damaged")
    operation_id = await leaving.begin(api)
    for _ in range(2):
        await leaving.turn(api.services, operation_id)
        leaving.settle()
    said = await leaving.told(api, operation_id)
    assert (said["done"], said["result"]["kept_dead_letters"]) == (True, 1)


@pytest.mark.parametrize("where", ["in the buffer", "under a cut", "among the dead letters"])
async def test_what_a_listen_whose_clock_is_ahead_made_goes_and_what_comes_later_stays(
    api, tape, one_bus, store, leaving, names, encode, pcm_tone, where
):
    """Pushers take it for what came later: it was made after the tombstone, by its chunks."""
    ahead_ms = leaving.ms + 3_600_000
    chunks = encode(pcm_tone(4), run_start_ms=ahead_ms)
    await tape.open()
    await tape.append(chunks[:2])
    operation_id = await leaving.begin(api)
    if where == "among the dead letters":
        for entry in await one_bus.read(tape.conversation, count=9):
            if entry.chunk:
                assert await one_bus.bury(
                    tape.conversation, entry, reason="t", first_offset=0,
                    samples=entry.counted_samples, now_ms=1,
                )  # fmt: skip
    await tape.append(chunks[2:])
    if where == "under a cut":
        # A pusher has put the batch, and not settled it yet: later audio is in it, too.
        [name] = await tape.put(0, 3)
        state = await one_bus.state(tape.conversation)
        last = EntryId(tape.epoch, chunks[2][1])
        cut = Cut(1, str(EntryId(tape.epoch, 0)), str(last), name, "standard", "age")
        await one_bus.cut(tape.conversation, cut, settled=state.settled)
    for _ in range(3):
        if not (await leaving.told(api, operation_id))["done"]:
            await leaving.turn(api.services, operation_id)
            leaving.settle()
    left = [entry.id.offset for entry in await one_bus.read(tape.conversation, count=9) if entry.chunk]
    assert left == [end for _, end in chunks[2:]]
    assert await one_bus.command("HLEN", one_bus.keys.dead(tape.conversation)) == 0
    assert (await leaving.told(api, operation_id))["done"]
    balance = await exact(one_bus, tape.conversation)
    assert balance.difference == 0
    assert balance.deleted == sum(chunk.samples for chunk, _ in chunks[:2])


async def test_an_object_that_is_put_and_not_settled_is_booked_once(
    api, tape, one_bus, leaving, names, store, pcm_tone, tmp_path
):
    """Its entries are still in the buffer, and are cleared there. What is kept stays booked as stored."""
    await tape.record(pcm_tone(4))
    [kept] = await tape.drain(0, 2)
    (tmp_path / "store" / kept).write_bytes(b"OggS and nothing more")  # nobody knows of when it is
    await tape.put(2, len(tape.chunks))
    operation_id = await leaving.begin(api)
    await leaving.turn(api.services, operation_id)
    assert await names(store) == [kept]
    entries = {
        entry.id: entry.counted_samples
        for entry in await one_bus.read(tape.conversation, count=9)
        if entry.chunk
    }
    await expunge(one_bus, tape.conversation, entries, cut=None, name="", preroll=True, now_ms=leaving.ms)
    balance = await exact(one_bus, tape.conversation)
    stored = sum(chunk.samples for chunk, _ in tape.chunks[:2])
    assert (balance.difference, balance.stored) == (0, stored)
    assert balance.deleted == balance.received - stored
