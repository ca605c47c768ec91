"""`DELETE …/{cid}`: a tombstone first, then live tail, dead letters, bucket and all derived things; nothing in flight brings it back."""

import asyncio

import httpx
import pytest

from audiobus import Bus, Conversation, Hints
from audiobus.census import exact
from audiobus.deletions import set_tombstone
from audiobus.errors import ConversationDeletedError
from audiostore import open_store
from audiostore.errors import TransientStoreError
from audiostore.memory_store import MemoryStore
from audiostore.paired_store import PairedStore, copy_over
from storage_api.deletion.one_conversation import GOES_ON, NOT_BEGUN
from tapedeck_testing.bucket_servers import GcsServer
from tapedeck_testing.mortal import Mortal
from tapedeck_testing.switched_store import Switched


async def delete(api, conversation, token: str = "all-token") -> httpx.Response:
    return await api.http.delete(api.path(conversation), headers={"Authorization": f"Bearer {token}"})


async def assert_gone(api, conversation, bus, names, store) -> None:
    for rest in ("", "/chunks", "/audio"):
        assert (await api.get(conversation, rest)).status_code == 404
    assert (await delete(api, conversation)).status_code == 404
    assert await names(store) == []
    balance = await exact(bus, conversation)
    assert (balance.difference, balance.waiting, balance.dead, balance.stored) == (0, 0, 0, 0)
    assert balance.deleted == balance.received


async def test_a_conversation_is_deleted_with_its_tail_and_what_was_derived(
    api, tape, store, conversation, one_bus, pcm_tone, names, put
):
    await tape.record(pcm_tone(9))
    await tape.drain(0, 3)
    await tape.drain(3, 6)
    await put(store, f"waveforms/{conversation.uid}/{conversation.cid}/1.000-2.000.batch.peaks")
    answer = await delete(api, conversation)
    assert (answer.status_code, answer.json()) == (200, {"deleted_objects": 2, "deleted_seconds": 9.0})
    await assert_gone(api, conversation, one_bus, names, store)
    listed = await api.http.get(
        f"/v1/users/{conversation.uid}/conversations", headers={"Authorization": "Bearer all-token"}
    )
    assert listed.json()["conversations"] == []


class SweptMeanwhile:
    """A bucket that a pusher, which was told, sweeps when the deletion has just begun to take something away."""

    def __init__(self, store) -> None:
        self._store = store

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def delete(self, name: str) -> None:
        for info in [info async for info in self._store.list("chunks/")]:
            await self._store.delete(info.name)
        await self._store.delete(name)


async def test_what_a_pusher_sweeps_meanwhile_counts(
    serve, one_bus, tape, store, conversation, tmp_path, pcm_tone, put
):
    await tape.record(pcm_tone(4))
    await tape.drain(0, 2)
    await tape.drain(2, 4)
    await put(store, f"waveforms/{conversation.uid}/{conversation.cid}/1.000-2.000.batch.peaks")
    async with serve(one_bus, SweptMeanwhile(store), tmp_path) as api:
        assert (await delete(api, conversation)).json() == {"deleted_objects": 2, "deleted_seconds": 4.0}


async def test_dead_letters_count_and_go(api, tape, store, conversation, one_bus, pcm_tone, names):
    await tape.record(pcm_tone(3))
    [entry] = (await one_bus.read(conversation, count=9))[1:2]
    samples = entry.counted_samples
    assert await one_bus.bury(
        conversation, entry, reason="test", first_offset=0, samples=samples, now_ms=1_700_000_000_000
    )
    assert (await delete(api, conversation)).json() == {"deleted_objects": 0, "deleted_seconds": 3.0}
    await assert_gone(api, conversation, one_bus, names, store)


async def test_a_conversation_of_which_only_dead_letters_are_left_can_be_deleted(
    api, tape, store, conversation, one_bus, pcm_tone
):
    await tape.record(pcm_tone(1))
    for entry in await one_bus.read(conversation, count=9):
        if entry.chunk is not None:
            assert await one_bus.bury(
                conversation, entry, reason="t", first_offset=0, samples=entry.counted_samples, now_ms=1
            )
    assert (await delete(api, conversation)).json() == {"deleted_objects": 0, "deleted_seconds": 1.0}
    assert await one_bus.command("EXISTS", one_bus.keys.dead(conversation)) == 0


async def test_others_stay(api, tape, tape_for, store, conversation, pcm_tone, names, put):
    others = [
        tape_for(Conversation(uid, cid))
        for uid, cid in (("user-1", "conv-11"), ("user-1", "conv"), ("user-11", "conv-1"))
    ]
    await tape.record(pcm_tone(2))
    await tape.drain(0, 2)
    for other in others:
        await other.record(pcm_tone(2))
        await other.drain(0, 1)
        await put(store, f"waveforms/{other.conversation.uid}/{other.conversation.cid}/1.000.batch.peaks")
    assert (await delete(api, conversation)).status_code == 200
    for other in others:
        assert (await api.get(other.conversation)).json()["recorded_seconds"] == 2.0
    assert len([name for name in await names(store) if name.startswith("waveforms/")]) == 3


async def test_nothing_is_taken_in_any_more_and_pushers_are_told(api, tape, conversation, one_bus, pcm_tone):
    await Hints(one_bus).make_group(0)
    await tape.record(pcm_tone(1))
    await delete(api, conversation)
    with pytest.raises(ConversationDeletedError):
        await one_bus.open(conversation, owner="o", format="pcm16:16000:1:312", now_ms=1_700_000_000_000)
    hints = await Hints(one_bus).take(one_bus.client, 0, "test", count=1, block_ms=None)
    assert [(hint.conversation, hint.reason) for hint in hints] == [(conversation, "deleted")]
    assert await one_bus.command("ZSCORE", one_bus.keys.due(0), conversation.tag) is not None


async def test_what_was_derived_goes_also_where_the_audio_went_before(
    api, store, conversation, one_bus, names, put
):
    await set_tombstone(one_bus, conversation, 1_700_000_000_000)
    await put(store, f"waveforms/{conversation.uid}/{conversation.cid}/1.000-2.000.batch.peaks")
    assert (await delete(api, conversation)).status_code == 404
    assert await names(store) == []


async def test_what_was_derived_goes_also_where_there_is_no_tombstone(
    api, store, conversation, one_bus, names, put
):
    """Its audio went piece by piece, or its tombstone is over."""
    await put(store, f"waveforms/{conversation.uid}/{conversation.cid}/1.000-2.000.batch.peaks")
    assert (await delete(api, conversation)).status_code == 404
    assert await names(store) == []
    assert not await one_bus.tombstone(conversation)


async def test_a_tombstone_that_no_replica_confirmed_leaves_an_audit_line(
    serve, one_bus, store, tmp_path, tape, conversation, pcm_tone, caplog
):
    caplog.set_level("INFO")
    await tape.record(pcm_tone(1))
    async with (
        Bus(one_bus.url, prefix=one_bus.keys.prefix, wait_replicas=1) as bus,
        serve(bus, store, tmp_path) as api,
    ):
        for _ in range(2):
            answer = await delete(api, conversation)
            assert (answer.status_code, answer.json()["code"]) == (503, "live_unavailable")
    lines = [record.message for record in caplog.records if getattr(record, "audit", False)]
    assert lines == ["deletion asked for, and not confirmed"] * 2
    assert await one_bus.tombstone(conversation)


async def test_it_leaves_one_audit_line_without_the_user(api, tape, conversation, pcm_tone, caplog):
    caplog.set_level("INFO")
    await tape.record(pcm_tone(1))
    for _ in range(2):
        await delete(api, conversation, api.token("user-1"))
    [line] = [record for record in caplog.records if getattr(record, "audit", False)]
    said = (line.message, line.actor, line.operation, line.conversation_id)
    assert said == ("deleted", "user", "delete_conversation", "conv-1")
    assert "user-1" not in str(line.__dict__)


async def test_users_delete_their_own_and_readers_nothing(api, tape, store, conversation, pcm_tone):
    await tape.record(pcm_tone(1))
    assert (await delete(api, conversation, "read-token")).status_code == 403
    assert (await delete(api, conversation, api.token("user-2"))).status_code == 404
    assert (await delete(api, conversation, api.token("user-1"))).status_code == 200


async def test_what_never_was_is_404_and_gets_no_tombstone(api, conversation, one_bus):
    assert (await delete(api, conversation)).status_code == 404
    assert not await one_bus.tombstone(conversation)


async def test_what_a_merge_holds_is_409_and_stays(api, tape, conversation, one_bus, pcm_tone):
    await tape.record(pcm_tone(2))
    await one_bus.command("HSET", one_bus.keys.conv(conversation), "merging", "user-1/conv-2")
    answer = await delete(api, conversation)
    assert (answer.status_code, answer.json()["code"]) == (409, "merging")
    await one_bus.command("HDEL", one_bus.keys.conv(conversation), "merging")
    assert (await api.get(conversation)).json()["recorded_seconds"] == 2.0


async def test_what_was_merged_is_404_and_its_objects_are_the_merges(
    api, tape, store, conversation, one_bus, pcm_tone, names
):
    await tape.record(pcm_tone(2))
    await tape.drain(0, 2)
    await set_tombstone(one_bus, conversation, 1_700_000_000_000, merged_into=Conversation("user-1", "other"))
    assert (await delete(api, conversation)).status_code == 404
    assert len(await names(store)) == 1


async def test_both_buckets_are_emptied_wherever_a_batch_lies(
    serve, one_bus, tape, store, conversation, tmp_path, pcm_tone, names
):
    second = MemoryStore()
    await tape.record(pcm_tone(6))
    await tape.drain(0, 2)
    tape.store = second
    [away] = await tape.drain(2, 4)
    [moved] = await tape.drain(4, 6)
    await copy_over(second, store, moved, moved)
    assert away != moved
    async with serve(one_bus, PairedStore(store, second), tmp_path) as api:
        assert (await delete(api, conversation)).json() == {"deleted_objects": 3, "deleted_seconds": 6.0}
        await assert_gone(api, conversation, one_bus, names, store)
        assert await names(second) == []


@pytest.mark.parametrize("stored", [0, 3])
async def test_a_bucket_that_is_away_is_503_and_asked_again_it_goes_on(
    serve, one_bus, tape, store, conversation, tmp_path, pcm_tone, stored, names
):
    await tape.record(pcm_tone(5))
    if stored:
        await tape.drain(0, stored)
    switched = Switched(store)
    async with serve(one_bus, switched, tmp_path) as api:
        switched.away = TransientStoreError("away")
        answer = await delete(api, conversation)
        assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
        assert answer.json()["detail"] == GOES_ON
        assert await one_bus.tombstone(conversation)  # what waits is deleted for certain
        switched.away = None
        answer = await delete(api, conversation)
        assert answer.json() == {"deleted_objects": bool(stored), "deleted_seconds": 5.0}
        await assert_gone(api, conversation, one_bus, names, store)


async def test_a_bucket_that_is_away_hides_whether_there_is_anything(
    serve, one_bus, tape, store, conversation, tmp_path, pcm_tone
):
    await tape.record(pcm_tone(2))
    await tape.drain(0, len(tape.chunks))
    switched = Switched(store)
    async with serve(one_bus, switched, tmp_path) as api:
        switched.away = TransientStoreError("away")
        answer = await delete(api, conversation)
        assert (answer.status_code, answer.json()["detail"]) == (503, NOT_BEGUN)
        assert not await one_bus.tombstone(conversation)


async def test_killed_at_every_step_and_asked_again_it_is_gone(
    serve, one_bus, tape_for, store, tmp_path, pcm_tone, names, put
):
    pcm = pcm_tone(3)
    for dies_at in range(1, 40):
        conversation = Conversation("user-1", f"conv-{dies_at}")
        tape = tape_for(conversation)
        await tape.record(pcm)
        await tape.drain(0, 1)
        await tape.drain(1, 2)
        await put(store, f"waveforms/user-1/conv-{dies_at}/1.000-2.000.batch.peaks")
        async with serve(one_bus, Mortal(store, [dies_at]), tmp_path) as dying:
            first = await dying.http.delete(
                dying.path(conversation), headers={"Authorization": "Bearer all-token"}
            )
        async with serve(one_bus, store, tmp_path) as api:
            second = await delete(api, conversation)
            assert second.status_code in ((404,) if first.status_code == 200 else (200, 404))
            assert await names(store) == []
            balance = await exact(one_bus, conversation)
            assert (balance.difference, balance.waiting) == (0, 0)
        if first.status_code == 200:
            assert dies_at > 5
            return
    pytest.fail("it never came to its end")


async def test_a_batch_that_is_put_meanwhile_goes_too(
    serve, one_bus, tape, store, conversation, tmp_path, pcm_tone, names
):
    """A pusher that did not see the tombstone yet puts its batch after the first listing."""
    await tape.record(pcm_tone(4))
    await tape.drain(0, 2)

    class Late(Switched):
        async def delete(self, name: str) -> None:
            await self.real.delete(name)
            if late:
                late.pop()
                await tape.put(2, 4)

    late = [True]
    async with serve(one_bus, Late(store), tmp_path) as api:
        assert (await delete(api, conversation)).json() == {"deleted_objects": 2, "deleted_seconds": 4.0}
        await assert_gone(api, conversation, one_bus, names, store)


async def test_two_at_once_leave_nothing(api, tape, store, conversation, one_bus, pcm_tone, names):
    await tape.record(pcm_tone(4))
    await tape.drain(0, 2)
    answers = await asyncio.gather(*(delete(api, conversation) for _ in range(4)))
    assert {answer.status_code for answer in answers} <= {200, 404}
    assert 200 in {answer.status_code for answer in answers}
    await assert_gone(api, conversation, one_bus, names, store)


async def test_without_redis_it_is_503(
    serve, redis_process, store, tmp_path, tape_for, conversation, pcm_tone, names
):
    async with Bus(redis_process.url) as bus, serve(bus, store, tmp_path) as api:
        tape = tape_for(conversation)
        tape.bus = bus
        await tape.record(pcm_tone(2))
        await tape.drain(0, 2)
        redis_process.kill()
        answer = await delete(api, conversation)
        assert (answer.status_code, answer.json()["code"]) == (503, "live_unavailable")
        assert answer.headers["retry-after"]
        assert len(await names(store)) == 1


async def test_on_gcs(serve, one_bus, tape, conversation, tmp_path, monkeypatch, pcm_tone, names):
    server = await asyncio.to_thread(GcsServer.started, tmp_path / "gcs")
    try:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        store = open_store(f"gs://{server.make_bucket()}")
        tape.store = store
        await tape.record(pcm_tone(4))
        await tape.drain(0, 2)
        await tape.drain(2, 3)
        async with serve(one_bus, store, tmp_path) as api:
            assert (await delete(api, conversation)).json() == {"deleted_objects": 2, "deleted_seconds": 4.0}
            await assert_gone(api, conversation, one_bus, names, store)
        await store.close()
    finally:
        await asyncio.to_thread(server.stop)
