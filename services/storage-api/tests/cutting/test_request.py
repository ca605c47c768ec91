"""Who may delete a part, of what, when not, and what is written down of it."""

import asyncio

import pytest

from audiobus import Bus, Conversation
from audiobus.deletions import set_tombstone
from audiobus.replacing import Replacing
from audiostore.errors import TransientStoreError
from tapedeck_testing.switched_store import Switched

BOTH = pytest.mark.parametrize("route", ["stretch", "chunks"])


async def send(cutter, api, route: str, **given):
    if route == "stretch":
        return await cutter.stretch(api, 1, 2, **given)
    return await cutter.chunks(api, 1.5, **given)


@BOTH
async def test_users_delete_their_own_and_readers_nothing(api, tape, cutter, pcm_tone, route):
    await tape.record(pcm_tone(3))
    await tape.drain(0, len(tape.chunks))
    assert (await send(cutter, api, route, token="read-token")).status_code == 403
    assert (await send(cutter, api, route, token=api.token("user-2"))).status_code == 404
    assert (await cutter.balance()).deleted == 0
    assert (await send(cutter, api, route, token=api.token("user-1"))).status_code == 200
    assert (await cutter.balance()).deleted > 0


@BOTH
async def test_what_nobody_recorded_into_is_404(
    api, tape_for, cutter, one_bus, conversation, pcm_tone, route
):
    assert (await send(cutter, api, route)).status_code == 404
    other = tape_for(Conversation("user-1", "conv-11"))
    await other.record(pcm_tone(2))
    assert (await send(cutter, api, route)).status_code == 404
    await other.bus.command("DEL", one_bus.keys.due(0))
    cutter.conversation = other.conversation
    await set_tombstone(one_bus, other.conversation, 1)
    assert (await send(cutter, api, route)).status_code == 404


@BOTH
async def test_what_was_opened_and_never_recorded_into_is_404(api, tape, cutter, conversation, route):
    """As it is for whoever reads it, while a socket is open that has sent nothing."""
    await tape.open()
    assert (await api.get(conversation, "/chunks")).status_code == 404
    assert (await send(cutter, api, route)).status_code == 404


@BOTH
async def test_all_of_it_deleted_before_is_200_with_zeros(
    api, tape, cutter, conversation, one_bus, pcm_tone, route
):
    """Also where no name is noted any more."""
    await tape.record(pcm_tone(3))
    await tape.drain(0, len(tape.chunks))
    assert (await cutter.stretch(api, 0, 10)).json()["deleted_seconds"] == 3
    await one_bus.command("DEL", one_bus.keys.gone(conversation))
    answer = await send(cutter, api, route)
    assert (answer.status_code, answer.json()) == (200, {"deleted_objects": 0, "deleted_seconds": 0})


@BOTH
@pytest.mark.parametrize("field", ["merging", "held"])
async def test_what_a_merge_holds_is_409_and_stays(
    api, tape, cutter, store, conversation, one_bus, pcm_tone, names, route, field
):
    await tape.record(pcm_tone(3))
    await tape.drain(0, len(tape.chunks))
    before = await names(store)
    await one_bus.command("HSET", one_bus.keys.conv(conversation), field, "user-1/other")
    answer = await send(cutter, api, route)
    assert (answer.status_code, answer.json()["code"]) == (409, "merging")
    assert await names(store) == before
    await one_bus.command("HDEL", one_bus.keys.conv(conversation), field)
    assert (await send(cutter, api, route)).json()["deleted_seconds"] > 0


async def test_a_merge_that_comes_in_between_finds_what_was_there(
    serve, one_bus, tape, cutter, store, conversation, tmp_path, pcm_tone, names
):
    await tape.record(pcm_tone(3))
    await tape.drain(0, len(tape.chunks))
    before = await names(store)

    class Merged(Switched):
        async def put(self, *args, **kwargs):
            answer = await self.real.put(*args, **kwargs)
            await one_bus.command("HSET", one_bus.keys.conv(conversation), "held", "an operation")
            return answer

    async with serve(one_bus, Merged(store), tmp_path) as api:
        assert (await cutter.stretch(api, 1, 2)).status_code == 409
        assert await names(store) == before
        assert (await cutter.balance()).deleted == 0


@BOTH
async def test_it_leaves_one_audit_line_without_the_user(api, tape, cutter, pcm_tone, caplog, route):
    caplog.set_level("INFO")
    await tape.record(pcm_tone(3))
    await tape.drain(0, len(tape.chunks))
    await send(cutter, api, route, token=api.token("user-1"))
    [line] = [record for record in caplog.records if getattr(record, "audit", False)]
    assert line.message == {"stretch": "deleted audio", "chunks": "deleted chunks"}[route]
    assert (line.actor, line.conversation_id, line.deleted_objects) == ("user", "conv-1", 1)
    assert line.deleted_seconds > 0
    assert "user-1" not in str(line.__dict__)


@BOTH
async def test_a_bucket_that_is_away_is_503_and_nothing_is_lost(
    serve, one_bus, tape, cutter, store, tmp_path, pcm_tone, route
):
    await tape.record(pcm_tone(3))
    await tape.drain(0, len(tape.chunks))
    switched = Switched(store)
    async with serve(one_bus, switched, tmp_path) as api:
        switched.away = TransientStoreError("away")
        answer = await send(cutter, api, route)
        assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
        assert (await cutter.balance()).deleted == 0
        switched.away = None
        assert (await send(cutter, api, route)).json()["deleted_objects"] == 1
        await cutter.balance()


async def test_without_redis_it_is_503(
    serve, redis_process, store, tmp_path, tape_for, conversation, cutter, pcm_tone
):
    async with Bus(redis_process.url) as bus, serve(bus, store, tmp_path) as api:
        tape = tape_for(conversation)
        tape.bus = bus
        await tape.record(pcm_tone(2))
        await tape.drain(0, 2)
        redis_process.kill()
        answer = await cutter.stretch(api, 0, 1)
        assert (answer.status_code, answer.json()["code"]) == (503, "live_unavailable")


async def test_who_does_not_get_their_turn_is_told_when_to_come_again(
    api, tape, cutter, conversation, one_bus, pcm_tone, monkeypatch
):
    monkeypatch.setattr("storage_api.cutting.request.PATIENCE_S", 0.0)
    await tape.record(pcm_tone(3))
    await tape.drain(0, len(tape.chunks))
    other = Replacing(one_bus, conversation)
    assert await other.hold()
    answer = await cutter.stretch(api, 1, 2)
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (
        503,
        "deleting",
        "5",
    )
    await other.release()
    monkeypatch.undo()
    assert (await cutter.stretch(api, 1, 2)).status_code == 200


async def test_many_at_once_cut_out_all_that_each_asked_for(
    api, tape, cutter, store, conversation, speech, packets, batches
):
    """Each reads batches that others are just replacing: none may bring back what another cut out."""
    await tape.record(speech[: 6 * 32_000])
    await tape.drain(0, 3)
    await tape.drain(3, len(tape.chunks))
    stretches = [(at / 2, at / 2 + 0.2) for at in range(1, 11)]
    answers = await asyncio.gather(*(cutter.stretch(api, *stretch) for stretch in stretches))
    assert {answer.status_code for answer in answers} == {200}
    pcm = await api.pcm(conversation)
    for start, end in stretches:
        assert not any(pcm[round(start * 16_000) : round(end * 16_000)]), (start, end)
    seen: set[tuple[int, int]] = set()
    for batch in await batches(store):
        for span in batch.spans:
            stretch = (span.first_sample, span.first_sample + span.samples)
            assert not any(a < stretch[1] and stretch[0] < b for a, b in seen)
            seen.add(stretch)
    balance = await cutter.balance()
    assert balance.deleted == round(sum(answer.json()["deleted_seconds"] for answer in answers) * 48_000)
    assert balance.stored == sum(b - a for a, b in seen)


@pytest.mark.parametrize(
    "query", [{"start": "2", "end": "1"}, {"start": "soon"}, {"end": "1e9"}, {"start": "5", "end": "5"}]
)
async def test_a_stretch_that_is_none(api, tape, cutter, pcm_tone, query):
    await tape.record(pcm_tone(2))
    answer = await cutter.send(api, "/audio", query)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_parameter")
