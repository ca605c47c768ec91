"""`DELETE /v1/users/{uid}/audio`: everything up to now, as an operation that any process goes on with; later sessions are not touched."""

import asyncio
import contextlib
import dataclasses
import time

import pytest

from audiobus import Bus, Conversation, EntryId, Hints, operations
from audiobus.census import exact
from audiobus.deletions import expunge, noted
from audiobus.errors import BusUnavailableError
from audiostore.memory_store import MemoryStore
from audiostore.paired_store import PairedStore, copy_over
from audiostore.waveform_names import waveform_name
from storage_api.bucket import Bucket
from storage_api.deletion import all_of_user
from storage_api.deletion.notes import KIND
from storage_api.deletion.user_audio import UserAudio
from storage_api.operations.runner import Runner
from tapedeck_testing.mortal import DiesError, Mortal
from tapedeck_testing.switched_store import Switched


async def test_everything_goes_and_it_is_done_when_nothing_can_come_back(
    api, tape_for, store, one_bus, pcm_tone, leaving, names, put, stored
):
    for cid in ("conv-1", "conv-2"):
        for name in await stored(tape_for(Conversation("user-1", cid)), pcm_tone(4)):
            await put(store, waveform_name(name, sealed=False))
    other = tape_for(Conversation("user-2", "conv-1"))
    kept = await stored(other, pcm_tone(4))
    api.services.operation_begun.clear()
    operation_id = await leaving.begin(api)
    assert api.services.operation_begun.is_set()  # a process need not look for it
    assert (await leaving.told(api, operation_id))["done"] is False
    await leaving.turn(api.services, operation_id)
    assert await names(store) == sorted(kept)
    said = await leaving.told(api, operation_id)
    assert (said["done"], said["kind"], said["error"]) == (False, "delete_user_audio", None)
    assert said["progress"].pop("waits_until") > said["created"]
    assert said["progress"] == {
        "phase": "settling",
        "conversations": 2,
        "conversations_done": 2,
        "waiting": 0,
        "failed": 0,
        "deleted_objects": 4,
        "deleted_seconds": 8.0,
        "kept_objects": 0,
        "kept_dead_letters": 0,
    }
    late = "chunks/user-1/conv-1/1600000000.000-1600000001.000.batch.bin"
    await put(store, late)
    leaving.settle()
    await leaving.turn(api.services, operation_id)  # a put that was on its way has landed: once more
    assert await names(store) == sorted(kept)
    assert not (await leaving.told(api, operation_id))["done"]
    leaving.settle()
    await leaving.turn(api.services, operation_id)
    said = await leaving.told(api, operation_id)
    assert (said["done"], said["result"]["deleted_seconds"], said["result"]["deleted_objects"]) == (
        True,
        8.0,
        5,
    )
    for cid in ("conv-1", "conv-2"):
        balance = await exact(one_bus, Conversation("user-1", cid))
        assert (balance.difference, balance.stored, balance.deleted) == (0, 0, balance.received)
        assert (await api.get(Conversation("user-1", cid))).status_code == 404
    assert (await api.get(other.conversation)).json()["recorded_seconds"] == 4.0


async def test_many_who_ask_at_once_are_answered_alike(api, tape, pcm_tone, leaving, stored):
    """All of them read that nothing is under way before any of them writes that it is."""
    await stored(tape, pcm_tone(4))
    answers = await asyncio.gather(*(leaving.ask(api) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {202}
    begun = {answer.json()["id"] for answer in answers}
    assert len(begun) <= all_of_user.MOST
    assert await leaving.begin(api) in begun


async def test_waveforms_go_whose_audio_others_have_deleted(
    api, tape, store, pcm_tone, leaving, names, put, stored
):
    """Also of a conversation of which nothing else is left; what is kept of other audio stays."""
    await stored(tape, pcm_tone(4))
    gone = "chunks/user-1/{}/1600000000.000-1600000001.000.batch.bin"
    for cid in ("conv-1", "conv-9"):
        await put(store, waveform_name(gone.format(cid), sealed=True))
    other = waveform_name("chunks/user-2/conv-1/1600000000.000-1600000001.000.batch.bin", sealed=False)
    await put(store, other)
    operation_id = await leaving.begin(api)
    await leaving.turn(api.services, operation_id)
    assert await names(store) == [other]
    assert not (await leaving.told(api, operation_id))["done"]


async def test_later_sessions_stay_also_in_the_same_conversation(
    api, tape, tape_for, store, conversation, pcm_tone, leaving, stored
):
    await stored(tape, pcm_tone(4))
    operation_id = await leaving.begin(api)
    now_ms = time.time_ns() // 1_000_000 + 1000
    tape.chunks.clear()
    later = tape_for(conversation)
    await later.record(pcm_tone(3), start_ms=now_ms)
    await later.put(0, len(later.chunks))
    marked_back = tape_for(Conversation("user-1", "conv-9"))
    await marked_back.open(now_ms)
    marked_back.chunks.clear()
    await leaving.turn(api.services, operation_id)
    assert (await api.get(conversation)).json()["recorded_seconds"] == 3.0
    assert (await leaving.told(api, operation_id))["progress"]["deleted_objects"] == 2


async def test_a_batch_across_the_moment_is_kept_and_counted(
    api, tape, store, encode, pcm_tone, leaving, names
):
    chunks = encode(pcm_tone(6))
    await tape.open()
    await tape.append(chunks[:2])
    [before] = await tape.put(0, 2)
    await tape.append(chunks[2:3])
    operation_id = await leaving.begin(api)
    await tape.append(chunks[3:])
    [across] = await tape.put(2, 5)
    [after] = await tape.put(5, len(chunks))
    await leaving.turn(api.services, operation_id)
    assert await names(store) == [across, after]
    assert (await leaving.told(api, operation_id))["progress"]["kept_objects"] == 1
    assert before not in (across, after)


async def test_what_waits_is_left_to_pushers_and_waited_for(
    api, tape, conversation, one_bus, pcm_tone, leaving
):
    await Hints(one_bus).make_group(0)
    await tape.record(pcm_tone(3))
    operation_id = await leaving.begin(api)
    leaving.settle()
    await leaving.turn(api.services, operation_id)
    hints = await Hints(one_bus).take(one_bus.client, 0, "test", count=1, block_ms=None)
    assert [hint.conversation for hint in hints] == [conversation]
    assert await one_bus.command("ZSCORE", one_bus.keys.due(0), conversation.tag) is not None
    said = await leaving.told(api, operation_id)
    assert (said["progress"]["waiting"], said["done"]) == (1, False)
    entries = {
        entry.id: entry.counted_samples for entry in await one_bus.read(conversation, count=9) if entry.chunk
    }
    await expunge(one_bus, conversation, entries, cut=None, name="", preroll=True, now_ms=leaving.ms)
    await leaving.turn(api.services, operation_id)
    assert (await leaving.told(api, operation_id))["done"]


async def test_what_a_merge_holds_is_waited_for(
    api, tape, store, conversation, one_bus, pcm_tone, leaving, names, stored
):
    await stored(tape, pcm_tone(4))
    await one_bus.command("HSET", one_bus.keys.conv(conversation), "merging", "user-1/conv-2")
    operation_id = await leaving.begin(api)
    await leaving.turn(api.services, operation_id)
    assert len(await names(store)) == 2
    await one_bus.command("HDEL", one_bus.keys.conv(conversation), "merging")
    await leaving.turn(api.services, operation_id)
    assert await names(store) == []


async def test_both_buckets_and_what_is_brought_home_under_another_name_meanwhile(
    serve, one_bus, tape, store, conversation, tmp_path, pcm_tone, leaving, names
):
    second = MemoryStore()
    await tape.record(pcm_tone(4))
    [home] = await tape.put(0, 2)
    tape.store = second
    [away] = await tape.put(2, len(tape.chunks))
    await tape.finish(len(tape.chunks))
    other_name = away.replace(".batch.bin", "").rsplit(".", 1)[0] + ".999.batch.bin"

    class Mover(Switched):
        """Brings the second bucket's object home after the first listing."""

        async def list(self, *args, **kwargs):
            async for info in self.real.list(*args, **kwargs):
                yield info
            if moving and args[0].startswith("chunks/"):
                moving.pop()
                await copy_over(second, store, away, other_name)
                await second.delete(away)

    moving = [True]
    async with serve(one_bus, PairedStore(Mover(store), second), tmp_path) as api:
        operation_id = await leaving.begin(api)
        await leaving.turn(api.services, operation_id)
        assert (await names(store), await names(second)) == ([], [])
        assert {home, other_name} <= (await noted(one_bus, conversation)).keys()
        balance = await exact(one_bus, conversation)
        assert (balance.difference, balance.stored, balance.deleted) == (0, 0, balance.received)


async def test_killed_at_every_step_another_process_goes_on(
    api, one_bus, tape_for, store, pcm_tone, leaving, names, put, stored
):
    pcm = pcm_tone(2)
    for dies_at in range(1, 200):
        tapes = [tape_for(Conversation("user-1", f"c{dies_at}-{number}")) for number in (1, 2)]
        for tape in tapes:
            for name in await stored(tape, pcm, parts=1):
                await put(store, waveform_name(name, sealed=False))
        operation_id = await leaving.begin(api)
        left = [dies_at]
        async with Bus(one_bus.url, prefix=one_bus.keys.prefix) as bus:
            real, bus.client = bus.client, Mortal(bus.client, left)
            bucket = Bucket(Mortal(store, left), api.services.metrics, api.services.workers)
            dying = dataclasses.replace(api.services, bus=bus, bucket=bucket)
            runner = Runner(bus, {KIND: UserAudio(dying, leaving.clock)})
            with contextlib.suppress(DiesError):
                for taken in await runner.take_due():
                    await runner.carry_out(taken)
            bus.client = real
        survived = left[0] >= 0
        for _ in range(3):
            if not (await leaving.told(api, operation_id))["done"]:
                await leaving.turn(api.services, operation_id)
                leaving.settle()
        said = await leaving.told(api, operation_id)
        assert said["done"]
        assert await names(store) == []
        for tape in tapes:
            balance = await exact(one_bus, tape.conversation)
            assert (balance.difference, balance.stored, balance.deleted) == (0, 0, balance.received)
            # Swept names are no business of the next round.
            await one_bus.command(
                "DEL", one_bus.keys.conv(tape.conversation), one_bus.keys.audio(tape.conversation)
            )
            await one_bus.command("DEL", one_bus.keys.gone(tape.conversation))
            await one_bus.note_not_live(tape.conversation)
        assert said["result"]["deleted_objects"] <= 4
        if survived:
            assert dies_at > 20
            return
    pytest.fail("it never came to its end")


async def test_users_delete_their_own_and_an_audit_line_says_so(api, tape, caplog, pcm_tone, leaving):
    caplog.set_level("INFO")
    await leaving.begin(api, api.token("user-1"))
    foreign = await leaving.ask(api, api.token("user-2"))
    assert foreign.status_code == 404
    [line] = [record for record in caplog.records if getattr(record, "audit", False)]
    assert (line.operation, line.actor) == ("delete_user_audio", "user")
    assert "user-1" not in str(line.__dict__)


async def test_it_is_of_now_by_redis_clock(api, tape, conversation, one_bus, pcm_tone, leaving):
    await tape.record(pcm_tone(1))
    began_ms = time.time_ns() // 1_000_000
    operation_id = await leaving.begin(api)
    found = await operations.find(one_bus, operation_id)
    before_ms = int(await one_bus.command("GET", one_bus.keys.user_tomb("user-1")))
    # Two clocks, rounded: a millisecond or two may lie between them.
    assert began_ms - 5 <= before_ms <= time.time_ns() // 1_000_000 + 5
    assert str(before_ms).encode() in found.request
    assert str(EntryId(tape.epoch, tape.newest.offset)).encode() in found.request


async def test_without_redis_it_is_503(serve, redis_process, store, tmp_path, leaving):
    async with Bus(redis_process.url) as bus, serve(bus, store, tmp_path) as api:
        redis_process.kill()
        answer = await leaving.ask(api)
        assert (answer.status_code, answer.json()["code"]) == (503, "live_unavailable")


async def test_asked_again_with_nothing_recorded_since_it_is_the_same_operation(
    api, tape, leaving, one_bus, pcm_tone
):
    await tape.record(pcm_tone(1))
    first = await leaving.begin(api)
    assert await leaving.begin(api) == first
    await leaving.turn(api.services, first)
    assert await leaving.begin(api) == first
    assert await operations.undone(one_bus, KIND, "user-1") == [first]


async def test_what_was_recorded_since_is_another_and_a_third_waits_for_the_first(
    api, tape, tape_for, leaving, one_bus, pcm_tone
):
    await tape.record(pcm_tone(1))
    first = await leaving.begin(api)
    await tape_for(Conversation("user-1", "conv-2")).record(pcm_tone(1))
    second = await leaving.begin(api)
    assert await operations.undone(one_bus, KIND, "user-1") == [first, second]
    await tape_for(Conversation("user-1", "conv-3")).record(pcm_tone(1))
    tombstone = await one_bus.command("GET", one_bus.keys.user_tomb("user-1"))
    refused = await leaving.ask(api)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_operations")
    assert refused.headers["retry-after"] == "60"
    assert await one_bus.command("GET", one_bus.keys.user_tomb("user-1")) == tombstone
    other = await api.http.delete("/v1/users/user-2/audio", headers={"Authorization": "Bearer all-token"})
    assert other.status_code == 202
    await operations.take(one_bus, first, "test", 60_000)
    await operations.write(one_bus, first, "test", "done", 60_000, {})
    third = await leaving.begin(api)
    assert await operations.undone(one_bus, KIND, "user-1") == [second, third]


async def test_a_session_that_opens_after_the_tombstone_is_not_touched(
    api, tape_for, conversation, leaving, one_bus, store, names, encode, pcm_tone, monkeypatch
):
    """Nor is what another conversation took in after it, though it is there when the buffers are looked at."""
    old, new = tape_for(conversation), tape_for(Conversation("user-1", "conv-2"))
    chunks = encode(pcm_tone(2), run_start_ms=leaving.ms - 60_000)
    await old.open(leaving.ms - 60_000)
    await old.append(chunks[:1])
    real = all_of_user.set_user_tombstone

    async def with_more(*args, **kwargs):
        stands = await real(*args, **kwargs)
        for tape in (old, new):
            tape.chunks.clear()
            await tape.open(stands + 1)
            await tape.append(encode(pcm_tone(2), run_start_ms=stands + 1))
        return stands

    monkeypatch.setattr(all_of_user, "set_user_tombstone", with_more)
    operation_id = await leaving.begin(api)
    kept = [*await old.put(0, len(old.chunks)), *await new.put(0, len(new.chunks))]
    await leaving.turn(api.services, operation_id)
    assert await names(store) == sorted(kept)


async def test_what_was_made_before_and_appended_late_is_from_before(
    api, tape, leaving, store, names, encode, pcm_tone, monkeypatch
):
    chunks = encode(pcm_tone(3), run_start_ms=leaving.ms - 60_000)
    await tape.open(leaving.ms - 60_000)
    await tape.append(chunks[:1])
    real = all_of_user.set_user_tombstone

    async def with_more(*args, **kwargs):
        stands = await real(*args, **kwargs)
        await tape.append(chunks[1:])
        return stands

    monkeypatch.setattr(all_of_user, "set_user_tombstone", with_more)
    operation_id = await leaving.begin(api)
    # A pusher that did not see the tombstone in time.
    await tape.put(0, len(tape.chunks))
    await tape.finish(len(tape.chunks))
    await leaving.turn(api.services, operation_id)
    assert await names(store) == []


async def test_where_it_breaks_off_after_the_tombstone_an_audit_line_says_so(
    api, tape, leaving, caplog, monkeypatch
):
    caplog.set_level("INFO")

    async def broken(*_args, **_kwargs):
        raise BusUnavailableError("away")

    monkeypatch.setattr(all_of_user, "begin", broken)
    assert (await leaving.ask(api)).status_code == 503
    [line] = [record for record in caplog.records if getattr(record, "audit", False)]
    assert (line.message, line.operation) == ("deletion of all audio broke off", "delete_user_audio")


async def test_what_changes_nothing_leaves_no_audit_line(api, leaving, caplog, monkeypatch):
    caplog.set_level("INFO")

    async def broken(*_args, **_kwargs):
        raise BusUnavailableError("away")

    monkeypatch.setattr(all_of_user, "newest_ids", broken)
    assert (await leaving.ask(api)).status_code == 503
    assert not [record for record in caplog.records if getattr(record, "audit", False)]
