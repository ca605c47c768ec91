"""A process that is stopped for longer than its turn: what it has read is what another cuts meanwhile, and none of that comes back through it."""

import asyncio

import google_crc32c
import pytest

from audiobus.replacing import Replacing
from storage_api.cutting.cutting import Cutting
from storage_api.cutting.place import Place
from tapedeck_testing.draining.gated import Gated


@pytest.fixture
async def stored(tape, speech) -> None:
    await tape.record(speech[: 6 * 32_000])
    await tape.drain(0, 3)
    await tape.drain(3, len(tape.chunks))


async def turn_is_over(bus, conversation) -> None:
    await bus.command("DEL", bus.keys.replacing_lease(conversation))


@pytest.mark.parametrize("after", [False, True], ids=["before its put", "after its put"])
async def test_what_a_stopped_process_puts_is_taken_away(
    serve, one_bus, api, store, conversation, cutter, stored, tmp_path, packets, names, after
):
    # Its first put finds the name taken, by what it replaces.
    slow = Gated(store, "put", call=2, after=after)
    # It does not renew its turn while it is stopped.
    async with serve(one_bus, slow, tmp_path) as stopped:
        first = asyncio.create_task(cutter.stretch(stopped, 1.0, 1.5))
        await slow.reached.wait()
        try:
            await turn_is_over(one_bus, conversation)
            answer = await cutter.stretch(api, 2.0, 2.5)
            left = await names(store)
        finally:
            slow.go.set()
        refused = await first
        assert (refused.status_code, refused.json()["code"]) == (503, "deleting")
    assert answer.status_code == 200, answer.text
    assert await names(store) == left
    assert await Replacing(one_bus, conversation).unfinished() == {}
    pcm = await api.pcm(conversation)
    assert not any(pcm[2 * 16_000 : 5 * 8_000])
    assert any(pcm[16_000:24_000])
    balance = await cutter.balance()
    assert balance.deleted == round(answer.json()["deleted_seconds"] * 48_000)
    assert (await cutter.stretch(api, 1.0, 1.5)).json()["deleted_seconds"] > 0.5


async def test_killed_while_it_was_stopped_it_leaves_nothing(
    serve, one_bus, api, store, conversation, cutter, stored, tmp_path, names
):
    """Its put lands when the other has begun, or even when it is done: the name is noted, so whoever looks deletes it."""
    [first, _] = await names(store)
    dead = Replacing(one_bus, conversation)
    assert await dead.hold()
    assert await dead.announce(f"{first}.never-put", "1:1")
    whole = await store.get(first)
    late = f"{first[:-11]}{int(first[-11]) + 1}.batch.bin"
    assert await dead.announce(late, f"{google_crc32c.value(whole)}:{len(whole)}")
    await store.put(late, whole, content_type="audio/ogg", metadata=(await store.head(first)).metadata or {})
    await turn_is_over(one_bus, conversation)
    assert (await cutter.stretch(api, 2.0, 2.5)).json()["deleted_objects"] >= 1
    assert late not in await names(store)
    assert not any((await api.pcm(conversation))[2 * 16_000 : 5 * 8_000])
    await store.put(late, whole, content_type="audio/ogg", metadata={})
    assert (await cutter.stretch(api, 2.0, 2.5)).json() == {"deleted_objects": 0, "deleted_seconds": 0}
    assert late not in await names(store)
    await cutter.balance()


async def test_what_came_to_lie_under_an_announced_name_and_is_another_s_stays(
    one_bus, api, store, conversation, cutter, stored, names
):
    [_, second] = await names(store)
    dead = Replacing(one_bus, conversation)
    assert await dead.hold()
    assert await dead.announce(second, "1:1")
    await turn_is_over(one_bus, conversation)
    assert (await cutter.stretch(api, 0.5, 1.0)).json()["deleted_objects"] == 1
    assert second in await names(store)
    assert await Replacing(one_bus, conversation).unfinished() == {}
    assert (await api.get(conversation)).json()["recorded_seconds"] > 5.4


async def test_what_it_has_read_and_not_put_yet_is_not_put_when_another_has_had_the_turn_since(
    one_bus, api, conversation, cutter, stored, monkeypatch
):
    """The other one is done, and has given its turn back: nobody has it when the stopped one goes on. What is left begins later, under a name that is free."""
    real, others = Place.put, []

    async def put(self, new):
        if not others:
            await turn_is_over(one_bus, conversation)
            others.append(None)
            others[0] = await cutter.stretch(api, 2.0, 2.5)
        return await real(self, new)

    monkeypatch.setattr(Place, "put", put)
    refused = await cutter.stretch(api, 0.0, 0.5)
    assert (refused.status_code, refused.json()["code"]) == (503, "deleting")
    assert others[0].status_code == 200, others[0].text
    pcm = await api.pcm(conversation)
    assert not any(pcm[2 * 16_000 : 5 * 8_000])
    assert any(pcm[:8_000])
    assert await Replacing(one_bus, conversation).unfinished() == {}
    assert (await cutter.balance()).deleted == round(others[0].json()["deleted_seconds"] * 48_000)


async def test_a_batch_of_which_another_has_put_a_rest_meanwhile_is_not_told_as_deleted(
    one_bus, api, conversation, cutter, stored, monkeypatch
):
    real, others = Cutting.run, []

    async def run(self):
        if not others:
            await turn_is_over(one_bus, conversation)
            others.append(None)
            others[0] = await cutter.stretch(api, 1.0, 1.5)
        await real(self)

    monkeypatch.setattr(Cutting, "run", run)
    refused = await cutter.chunks(api, 0.0)
    assert (refused.status_code, refused.json()["code"]) == (503, "deleting")
    assert others[0].status_code == 200, others[0].text
    again = await cutter.chunks(api, 0.0)
    assert again.json()["deleted_objects"] > 0
    told = sum(answer.json()["deleted_seconds"] for answer in (others[0], again))
    assert (await cutter.balance()).deleted == round(told * 48_000)
    [row] = (await api.get(conversation, "/chunks")).json()["chunks"]
    assert row["start"] > "2023-11-14T22:13:22"
