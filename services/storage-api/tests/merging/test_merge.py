"""The operation of a merge: what was recorded is played once in the target, and the sources go, or stay."""

import dataclasses

import msgspec
import pytest

from audiobus import Conversation
from audiobus.census import exact
from audiobus.deletions import emptied, set_tombstone, sweep, unstore
from audiobus.errors import MergingError
from audiobus.merging import freeze, hold
from audiostore.errors import TransientStoreError
from audiostore.memory_store import MemoryStore
from audiostore.names import BatchName
from audiostore.paired_store import PairedStore
from audiostore.waveform_names import waveform_name
from pusher.roles import Roles
from storage_api.bucket import Bucket
from storage_api.merging.copying import Copying
from storage_api.operations.turn import Turn
from tapedeck_testing.switched_store import Switched

T0 = 1_700_000_000_000
A, B, ALL = (Conversation("user-1", cid) for cid in ("a", "b", "all"))
MINUTE = 60_000


def error_of(operation) -> str:
    return msgspec.json.decode(operation.error)["code"] if operation.error else ""


def result_of(operation) -> dict:
    assert operation.done
    assert not operation.error, operation.error
    return msgspec.json.decode(operation.result)


async def test_two_become_one_and_go(api, merging, recorded, one_bus, store):
    await recorded("a", T0 + MINUTE)
    await recorded("b", T0, hertz=200.0)
    heard = await api.pcm(B) + await api.pcm(A)
    before = {**await merging.files("a"), **await merging.files("b")}
    assert result_of(await merging.run(["a", "b"], "all")) == {"sources": 2, "objects": 2}
    assert await merging.files("all") == before
    assert await api.pcm(ALL, fill_gaps="false") == heard
    for gone in (A, B):
        assert (await api.get(gone)).status_code == 404
        assert await one_bus.command("GET", one_bus.keys.tomb(gone)) != b""
    assert await merging.files("a") == await merging.files("b") == {}


async def test_the_books_close_and_follow_the_audio(merging, recorded, one_bus):
    await recorded("a", T0)
    await recorded("b", T0 + MINUTE)
    received = (await exact(one_bus, A)).received + (await exact(one_bus, B)).received
    await merging.run(["a", "b"], "all")
    for one in (A, B, ALL):
        balance = await exact(one_bus, one)
        assert balance.difference == 0
        assert (balance.received, balance.stored) == ((received, received) if one == ALL else (0, 0))


async def test_a_live_source_is_frozen_flushed_and_goes(
    api, merging, recorded, storing, one_bus, encode, pcm_tone
):
    tape = await recorded("a", T0, store=False)
    heard = await api.pcm(A)
    async with storing(tape):
        assert result_of(await merging.run(["a"], "all")) == {"sources": 1, "objects": 1}
    assert await api.pcm(ALL) == heard
    with pytest.raises(MergingError) as raised:
        await tape.append(encode(pcm_tone(1.0)))
    assert raised.value.target == ALL.tag


async def test_a_target_may_be_there_live_and_a_source(api, merging, recorded, encode, pcm_tone):
    await recorded("a", T0)
    live = await recorded("all", T0 + MINUTE, store=False)
    heard = await api.pcm(A) + await api.pcm(ALL)
    assert result_of(await merging.run(["a", "all", "a"], "all")) == {"sources": 1, "objects": 1}
    assert await api.pcm(ALL, fill_gaps="false") == heard
    # It went on all the while, and nothing holds it.
    more = [
        (chunk, end)
        for chunk, end in encode(pcm_tone(3.0), run_start_ms=T0 + MINUTE)
        if end > live.newest.offset
    ]
    await live.append(more)
    assert not (await live.bus.state(ALL)).in_merge


async def test_a_target_that_is_its_only_source_is_as_it_was(merging, recorded):
    await recorded("all", T0)
    before = await merging.files("all")
    assert result_of(await merging.run(["all"], "all")) == {"sources": 0, "objects": 0}
    assert await merging.files("all") == before


async def test_two_that_claim_one_name_both_survive(api, merging, recorded, tape_for):
    """Of one instant: the one that was opened first is played, the other one is there."""
    await recorded("a", T0, hertz=200.0)
    await recorded("b", T0, hertz=700.0)
    [name], [also] = await merging.files("a"), await merging.files("b")
    assert name == also
    contents = {*(await merging.files("a")).values(), *(await merging.files("b")).values()}
    assert result_of(await merging.run(["a", "b"], "all")) == {"sources": 2, "objects": 2}
    merged = await merging.files("all")
    assert len(contents) == 2
    assert {*merged.values()} == contents
    end_ms = T0 + 2000
    assert {*merged} == {BatchName("u", "c", T0, end_ms + more).path.rpartition("/")[2] for more in (0, 1)}
    rows = (await api.get(ALL, "/chunks")).json()["chunks"]
    assert [row["state"] for row in rows] == ["stored", "stored"]


async def test_the_same_audio_is_copied_and_played_once(api, merging, recorded):
    await recorded("a", T0)
    heard = await api.pcm(A)
    for target in ("b", "all"):
        assert result_of(await merging.run(["a"], target, delete=False)) == {"sources": 1, "objects": 1}
    before = await merging.files("a")
    assert result_of(await merging.run(["a", "b"], "all")) == {"sources": 2, "objects": 2}
    assert await merging.files("all") == before
    assert await api.pcm(ALL) == heard


async def test_sources_that_stay_go_on_and_are_not_deleted_meanwhile(
    api, merging, recorded, storing, one_bus, encode, pcm_tone
):
    tape = await recorded("a", T0, store=False)
    heard = await api.pcm(A)
    async with storing(tape):
        operation = await merging.run(["a"], "all", delete=False)
    assert result_of(operation) == {"sources": 1, "objects": 1}
    assert await api.pcm(A) == await api.pcm(ALL) == heard
    assert not (await one_bus.state(A)).in_merge
    request = [(chunk, end) for chunk, end in encode(pcm_tone(3.0)) if end > tape.newest.offset]
    await tape.append(request)
    # What is copied was received once, by the source.
    assert (await exact(one_bus, ALL)).received == 0


async def test_a_sources_dead_letters_are_in_the_way_of_deleting_it_only(merging, recorded, one_bus):
    await recorded("a", T0)
    await recorded("b", T0 + MINUTE)
    await one_bus.command("HSET", one_bus.keys.dead(B), "1-1", "letter")
    operation = await merging.run(["a", "b"], "all")
    assert (operation.done, error_of(operation)) == (True, "dead_letters")
    for one in (A, B, ALL):
        assert not (await one_bus.state(one)).in_merge
        assert not await one_bus.tombstone(one)
    assert result_of(await merging.run(["a", "b"], "all", delete=False))["objects"] == 2


async def test_of_two_merges_with_one_source_the_second_fails_and_lets_go(merging, recorded, one_bus):
    await recorded("a", T0)
    await recorded("b", T0)
    first = await merging.begin(["b"], "other")
    await freeze(one_bus, B, Conversation("user-1", "other"), first, "word", until_ms=10**14)
    operation = await merging.run(["a", "b"], "all")
    assert error_of(operation) == "merging"
    assert not (await one_bus.state(A)).in_merge
    assert (await one_bus.state(B)).merging == "user-1/other"
    result_of(await merging.turn(first))


async def test_what_a_forgotten_merge_holds_is_taken_over(merging, recorded, one_bus):
    await recorded("a", T0)
    await freeze(one_bus, A, Conversation("user-1", "other"), "lost", "word", until_ms=10**14)
    await hold(one_bus, ALL, "lost-too", until_ms=10**14)
    assert result_of(await merging.run(["a"], "all"))["objects"] == 1


@pytest.mark.parametrize("which", [A, ALL])
async def test_a_source_or_target_that_was_deleted_meanwhile_ends_it(merging, recorded, one_bus, which):
    await recorded("a", T0)
    await recorded("b", T0)
    await set_tombstone(one_bus, which, 1)
    operation = await merging.run(["a", "b"], "all")
    assert error_of(operation) == "not_found"
    assert not (await one_bus.state(B)).in_merge
    assert len(await merging.files("b")) == 1


async def test_one_that_takes_too_long_thaws_what_it_froze(
    merging, recorded, one_bus, encode, pcm_tone, monkeypatch
):
    monkeypatch.setattr("storage_api.merging.draining.TURN_S", 0.05)
    tape = await recorded("a", T0, store=False)
    operation_id = await merging.begin(["a"], "all")
    operation = await merging.turn(operation_id)
    assert not operation.done
    assert (await one_bus.state(A)).merging == ALL.tag
    operation = await merging.turn(operation_id, limit_ms=-1)
    assert error_of(operation) == "merge_timeout"
    more = [(chunk, end) for chunk, end in encode(pcm_tone(3.0)) if end > tape.newest.offset]
    await tape.append(more)
    assert not (await one_bus.state(ALL)).in_merge


async def test_what_was_deleted_or_given_up_is_not_copied_and_names_of_such_are_not_taken(
    merging, recorded, one_bus, store
):
    await recorded("a", T0)
    await recorded("b", T0 + MINUTE)
    [first], [name] = await merging.files("a"), await merging.files("b")
    await unstore(one_bus, A, {f"chunks/user-1/a/{first}": 0}, T0)
    await unstore(one_bus, ALL, {f"chunks/user-1/all/{name}": 0}, T0)
    assert result_of(await merging.run(["a", "b"], "all"))["objects"] == 1
    assert [*await merging.files("all")] == [name.replace(".000.batch", ".001.batch")]


async def test_kept_waveforms_of_the_sources_go_with_them(api, merging, recorded, store):
    await recorded("a", T0)
    assert (await api.get(A, "/waveform")).status_code == 200
    [name] = await merging.files("a")
    kept = waveform_name(f"chunks/user-1/a/{name}", sealed=False)
    assert kept in [info.name async for info in store.list("waveforms/")]
    await merging.run(["a"], "all")
    assert [info.name async for info in store.list("waveforms/")] == []
    assert (await api.get(ALL, "/waveform")).status_code == 200


async def test_what_is_no_audio_of_ours_is_copied_too(merging, recorded, store):
    await recorded("a", T0)
    for cid, text in (("a", b"one"), ("b", b"two")):
        await store.put(f"chunks/user-1/{cid}/notes.txt", text, content_type="text/plain", metadata={})
    await recorded("b", T0 + MINUTE)
    assert result_of(await merging.run(["a", "b"], "all"))["objects"] == 4
    merged = await merging.files("all")
    assert {name: data for name, data in merged.items() if "notes" in name} == {
        "notes.txt": b"one",
        "notes.txt.1": b"two",
    }


async def test_pushers_sweep_on_after_it(merging, recorded, one_bus):
    """A put that was on its way may land under the source's prefix yet."""
    await recorded("a", T0)
    await merging.run(["a"], "all")
    key = one_bus.keys.due(one_bus.keys.partition(A))
    assert await one_bus.command("ZSCORE", key, A.tag) is not None
    assert await sweep(one_bus, A, T0) is not None
    assert await emptied(one_bus, A) == 0


async def test_a_target_that_is_deleted_while_it_is_copied_takes_nothing_with_it(
    merging, recorded, one_bus, monkeypatch
):
    """Nothing held it any more: copying took too long."""
    await recorded("a", T0)
    run = Copying.run

    async def late(self, source, target, only=None):
        done = await run(self, source, target, only)
        await one_bus.command("HDEL", one_bus.keys.conv(ALL), "held")
        await set_tombstone(one_bus, ALL, 1)
        return done

    monkeypatch.setattr(Copying, "run", late)
    operation = await merging.run(["a"], "all")
    assert error_of(operation) == "not_found"
    assert len(await merging.files("a")) == 1
    assert not (await one_bus.state(A)).in_merge
    assert not await one_bus.tombstone(A)


@pytest.mark.parametrize("at", range(1, 9))
async def test_while_the_bucket_is_away_it_is_tried_again(api, merging, recorded, one_bus, store, at):
    """Away from its n-th call on: nothing is lost, and it goes on when the bucket is back."""
    await recorded("a", T0)
    before = await merging.files("a")

    class Away(Switched):
        """Away from a call on."""

        def __getattr__(self, name):
            if self.calls >= at:
                self.away = TransientStoreError(f"{name}: away")
            return super().__getattr__(name)

    away = Away(store)
    services = dataclasses.replace(
        api.services, bucket=Bucket(away, api.services.metrics, api.services.workers)
    )
    operation_id = await merging.begin(["a"], "all")
    operation = await merging.turn(operation_id, services=services)
    if not operation.done:
        assert error_of(operation) == "store_unavailable"
        assert {**await merging.files("a"), **await merging.files("all")} == before
        if not await one_bus.tombstone(A):
            assert (await one_bus.state(A)).merging == ALL.tag
        operation = await merging.turn(operation_id)
    assert result_of(operation) == {"sources": 1, "objects": 1}
    assert await merging.files("all") == before


async def test_what_is_whole_yet_waits_for_no_bucket_that_stays_away(merging, recorded, one_bus, monkeypatch):
    """One is buried, and cannot be deleted: the other thaws in time, and the merge goes on with the one."""
    await recorded("a", T0)
    await recorded("b", T0 + MINUTE)
    operation_id = await merging.begin(["a", "b"], "all")

    async def away(store, prefix):
        raise TransientStoreError(f"list {prefix}: away")

    with monkeypatch.context() as patched:
        patched.setattr("storage_api.merging.merge.erase", away)
        for _ in range(2):
            operation = await merging.turn(operation_id)
            assert (operation.done, error_of(operation)) == (False, "store_unavailable")
            assert (await one_bus.tombstone(A), (await one_bus.state(B)).merging) == (True, ALL.tag)
        operation = await merging.turn(operation_id, limit_ms=-1)
        assert (operation.done, error_of(operation)) == (False, "store_unavailable")
        assert not (await one_bus.state(B)).in_merge
    assert error_of(await merging.turn(operation_id, limit_ms=-1)) == "merge_timeout"
    assert (len(await merging.files("a")), len(await merging.files("b"))) == (0, 1)
    assert not (await one_bus.state(ALL)).in_merge


@pytest.mark.parametrize("known", [True, False])
async def test_where_pushers_have_a_second_bucket_it_must_be_known_here(
    api, merging, recorded, one_bus, store, caplog, known
):
    """They sweep it too: what it has of a source would be gone."""
    await recorded("a", T0)
    assert await Roles(one_bus, "memory:", "file:///second").agreed()
    bucket = api.services.bucket
    if known:
        bucket = Bucket(PairedStore(store, MemoryStore()), api.services.metrics, api.services.workers)
    services = dataclasses.replace(api.services, bucket=bucket, store_url="memory:/")
    operation = await merging.run(["a"], "all", services=services)
    assert operation.done
    assert error_of(operation) == ("" if known else "store_unavailable")
    assert await one_bus.tombstone(A) == known
    assert not (await one_bus.state(A)).in_merge
    if not known:
        # The operator who gave it up is told what to do.
        [key] = [record.key for record in caplog.records if "second bucket" in record.msg]
        assert await one_bus.command("DEL", key) == 1
        assert not error_of(await merging.run(["a"], "all", services=services))


async def test_one_that_fails_tells_of_the_copies_that_stay(merging, recorded, one_bus, monkeypatch):
    await recorded("a", T0)
    run = Copying.run

    async def late(self, source, target, only=None):
        done = await run(self, source, target, only)
        if done.clean:
            await set_tombstone(one_bus, A, T0)
        return done

    monkeypatch.setattr(Copying, "run", late)
    operation = await merging.run(["a"], "all")
    assert error_of(operation) == "not_found"
    assert "1 of their objects lie in all" in msgspec.json.decode(operation.error)["detail"]
    assert len(await merging.files("all")) == 1


class Sloppy(Switched):
    """A store whose first copy holds other bytes than its source."""

    def __getattr__(self, name):
        if name != "copy" or self.works:
            return super().__getattr__(name)
        self.works = True

        async def copy(source, target):
            return await self.real.put(target, b"?", content_type="a/b", metadata={})

        return copy


async def test_no_source_goes_before_its_copies_were_compared(api, merging, recorded, store):
    await recorded("a", T0)
    [data] = (await merging.files("a")).values()
    bucket = Bucket(Sloppy(store), api.services.metrics, api.services.workers)
    services = dataclasses.replace(api.services, bucket=bucket)
    assert result_of(await merging.run(["a"], "all", services=services))["objects"] == 1
    assert sorted((await merging.files("all")).values()) == sorted([b"?", data])


async def test_how_far_it_is_is_told_source_by_source(merging, recorded, monkeypatch):
    for number, cid in enumerate(("a", "b")):
        await recorded(cid, T0 + number * MINUTE)
    told, save = [], Turn.save

    async def heard(self, step, progress):
        told.append((progress.sources_copied, progress.sources_done, progress.objects))
        await save(self, step, progress)

    monkeypatch.setattr(Turn, "save", heard)
    result_of(await merging.run(["a", "b"], "all"))
    # Held; copied, each; compared, each; deleted, each.
    assert told == [(0, 0, 0), (0, 0, 1), (0, 0, 2), (1, 0, 2), (2, 0, 2), (2, 1, 2), (2, 2, 2)]
