"""Conversations are merged while their user's deletion goes over them: nothing of before is taken past it, and it ends all the same."""

import time

import msgspec
import pytest

from audiobus import Conversation, operations
from audiostore.memory_store import MemoryStore
from audiostore.names import conversation_prefix
from audiostore.paired_store import copy_over
from storage_api.deletion import user_audio
from storage_api.deletion.taken_along import Merges, merges, targets_since
from storage_api.merging import merge
from storage_api.operations.runner import Runner, Taken

UID = "user-1"


@pytest.fixture
def merged(api):
    """Merges these now, by a process of its own."""
    begun = []

    async def run(sources: list[str], target: str, *, delete: bool = True) -> None:
        bus, operation_id = api.services.bus, f"m{len(begun)}"
        begun.append(operation_id)
        request = merge.Request(sources=tuple(sources), target=target, delete_sources=delete)
        await operations.begin(bus, operation_id, merge.KIND, UID, msgspec.json.encode(request))
        assert await operations.take(bus, operation_id, operation_id, 60_000)
        runner = Runner(bus, {merge.KIND: merge.Merge(api.services, grace_ms=0)})
        await runner.carry_out(Taken(operation_id, operation_id))
        done = await operations.find(bus, operation_id)
        assert (done.done, done.error) == (True, b""), done

    return run


@pytest.fixture
def before_each_look(monkeypatch):
    """Something happens before each look at a conversation."""

    def set_up(act) -> None:
        real = user_audio.FormerAudio.delete

        async def delete(self, save) -> None:
            await act(self._conversation.cid)
            await real(self, save)

        monkeypatch.setattr(user_audio.FormerAudio, "delete", delete)

    return set_up


@pytest.mark.parametrize("delete", [True, False], ids=["sources go", "sources stay, and are deleted"])
async def test_what_is_merged_past_every_pass_goes_all_the_same(
    *, api, tape_for, store, leaving, names, stored, pcm_tone, merged, before_each_look, monkeypatch, delete
):
    """Once in each pass over everything, just before the conversation would be looked at, into one that was passed, or was not there."""
    for cid in ("a", "b-4"):
        await stored(tape_for(Conversation(UID, cid)), pcm_tone(2), parts=1)
    left = ["b-1", "b-2", "b-3"]
    steps = []

    async def move(cid: str) -> None:
        step = steps[-1]
        lies = conversation_prefix(UID, cid)
        if step.full and left and any(name.startswith(lies) for name in await names(store)) and cid != "a":
            await merged([cid], left.pop(), delete=delete)
            if not delete:
                answer = await api.http.delete(
                    f"/v1/users/{UID}/conversations/{cid}", headers={"Authorization": "Bearer all-token"}
                )
                assert answer.status_code == 200

    real = user_audio.FormerAudio.__init__

    def init(self, services, conversation, request, step, now_ms) -> None:
        real(self, services, conversation, request, step, now_ms)
        steps.append(step)

    monkeypatch.setattr(user_audio.FormerAudio, "__init__", init)
    before_each_look(move)
    operation_id = await leaving.begin(api)
    for _ in range(9):
        if not (await leaving.told(api, operation_id))["done"]:
            await leaving.turn(api.services, operation_id)
            leaving.settle()
    assert await names(store) == []
    assert left == ["b-1", "b-2"]
    said = await leaving.told(api, operation_id)
    assert (said["done"], said["result"]["deleted_objects"]) == (True, 4)


@pytest.mark.parametrize("target", ["a", "new", "z"])
async def test_what_is_found_late_and_merged_past_the_last_pass_goes(
    *, api, tape_for, store, leaving, names, stored, pcm_tone, merged, before_each_look, target
):
    """A put of before landed late, and its conversation goes elsewhere while the last pass goes over all: another one looks there."""
    await stored(tape_for(Conversation(UID, "a")), pcm_tone(2), parts=1)
    tape, away = tape_for(Conversation(UID, "n")), MemoryStore()
    tape.store = away
    await stored(tape, pcm_tone(2), parts=1)
    late = await names(away)

    async def move(cid: str) -> None:
        if cid == "n" and late and await names(store):
            late.clear()
            await merged(["n"], target)

    before_each_look(move)
    operation_id = await leaving.begin(api)
    await leaving.turn(api.services, operation_id)
    assert await names(store) == []
    for name in late:
        await copy_over(away, store, name, name)
    leaving.settle()
    for _ in range(4):
        if not (await leaving.told(api, operation_id))["done"]:
            await leaving.turn(api.services, operation_id)
            leaving.settle()
    assert not late
    assert await names(store) == []
    assert (await leaving.told(api, operation_id))["done"]


async def test_it_ends_under_a_user_who_goes_on_merging_what_came_later(
    api, tape_for, store, leaving, names, stored, pcm_tone, merged, before_each_look
):
    for cid in ("b", "c"):
        await stored(tape_for(Conversation(UID, cid)), pcm_tone(2), parts=1)
    later, kept = [], []

    async def another() -> None:
        later.append(f"n{len(later)}")
        start_ms = time.time_ns() // 1_000_000 + 60_000 + len(later) * 10_000
        tape = tape_for(Conversation(UID, later[-1]))
        kept.extend(await stored(tape, pcm_tone(2), start_ms=start_ms, parts=1))

    async def move(_: str) -> None:
        await merged([later[-1]], "all")
        await another()

    operation_id = await leaving.begin(api)
    await another()
    before_each_look(move)
    for _ in range(4):
        if not (await leaving.told(api, operation_id))["done"]:
            await leaving.turn(api.services, operation_id)
            leaving.settle()
    assert (await leaving.told(api, operation_id))["done"]
    assert len(later) > 2
    assert sorted(name.rsplit("/", 1)[1] for name in await names(store)) == sorted(
        name.rsplit("/", 1)[1] for name in kept
    )


async def test_only_where_anything_may_have_been_taken_is_named(one_bus):
    async def begin(number: int, sources: list[str], target: str) -> None:
        request = merge.Request(sources=tuple(sources), target=target, delete_sources=True)
        await operations.begin(one_bus, f"m{number}", merge.KIND, UID, msgspec.json.encode(request))

    async def targets(before: Merges, out_of: list[str] | None = None, now_ms: int = 5) -> list[str] | None:
        return await targets_since(one_bus, UID, before, now_ms, out_of=out_of)

    assert await targets(Merges()) == []
    await begin(1, ["c"], "d")
    await begin(2, ["a", "b"], "c")
    await begin(3, ["x"], "y")
    first = Merges(at_ms=5)
    assert await targets(first) == ["c", "d", "y"]
    assert await targets(first, ["b"]) == ["c", "d"]
    assert await targets(first, ["d"]) == []
    now = await merges(one_bus, UID, 5)
    assert now.undone == ["m1", "m2", "m3"]
    assert await targets(now, ["x"]) == ["y"]
    none_undone = Merges(at_ms=now.at_ms, last_ms=now.last_ms)
    assert await targets(none_undone) == []
    await begin(4, ["e"], "f")
    assert await targets(none_undone) == ["f"]
    # Some that were begun since may be forgotten.
    assert await targets(none_undone, now_ms=5 + operations.BEGUN_KEPT_MS) is None
