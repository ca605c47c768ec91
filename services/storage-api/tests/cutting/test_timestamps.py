"""`DELETE …/chunks?timestamps=a,b`: chunks and batches as a whole, stored or waiting."""

import asyncio

import pytest

from audiobus import Cut, EntryId


async def listed(api, conversation) -> list[dict]:
    return (await api.get(conversation, "/chunks")).json()["chunks"]


async def test_batches_go_by_when_they_start_or_what_they_hold(
    api, tape, cutter, store, conversation, pcm_tone, names, packets
):
    await tape.record(pcm_tone(12))
    stored = [name for at in (0, 3, 6) for name in await tape.drain(at, at + 3)]
    stored += await tape.drain(9, len(tape.chunks))
    rows = await listed(api, conversation)
    answer = await cutter.chunks(api, rows[0]["timestamp"], 7.5)
    seconds = (rows[0]["duration_ms"] + rows[2]["duration_ms"]) / 1000
    assert answer.status_code == 200
    # And the batch after each keeps none of it for its decoder, but has lost no audio.
    assert answer.json() == {
        "deleted_objects": 2,
        "deleted_seconds": pytest.approx(seconds, abs=0.002),
    }
    left = await names(store, "chunks/")
    assert len(left) == 2
    assert not set(left) & set(stored)
    gone = {packet for number in (0, 1, 2, 6, 7, 8) for packet in tape.chunks[number][0].packets}
    assert not await packets(store) & gone
    assert [row["timestamp"] for row in await listed(api, conversation)] == [
        rows[1]["timestamp"],
        rows[3]["timestamp"],
    ]
    assert (await cutter.balance()).deleted == round(answer.json()["deleted_seconds"] * 48_000)
    again = await cutter.chunks(api, rows[0]["timestamp"], 7.5)
    assert (again.status_code, again.json()) == (200, {"deleted_objects": 0, "deleted_seconds": 0})


async def test_a_chunk_that_waits_goes_and_its_session_goes_on(
    api, tape, cutter, conversation, one_bus, encode, pcm_tone
):
    chunks = encode(pcm_tone(8))
    await tape.open()
    await tape.append(chunks[:5])
    rows = await listed(api, conversation)
    answer = await cutter.chunks(api, rows[2]["timestamp"])
    assert answer.json() == {"deleted_objects": 0, "deleted_seconds": 1.0}
    await tape.append(chunks[5:])  # nothing has happened, to the session
    balance = await cutter.balance()
    assert (balance.deleted, balance.received - balance.waiting) == (48_000, 48_000)
    assert rows[2]["timestamp"] not in [row["timestamp"] for row in await listed(api, conversation)]
    pcm = await api.pcm(conversation)
    assert not any(pcm[16_000 * 2 + 400 : 16_000 * 3 - 400])
    assert (await cutter.chunks(api, rows[2]["timestamp"])).json()["deleted_seconds"] == 0


async def test_the_cut_over_a_chunk_that_waits_is_given_up_with_it(
    api, tape, cutter, conversation, one_bus, store, pcm_tone, names
):
    """A pusher has put it, and not finished: its object must not stay."""
    await tape.record(pcm_tone(5))
    [name] = await tape.put(0, 3)
    state = await one_bus.state(conversation)
    cut = Cut(
        1, str(EntryId(tape.epoch, 0)), str(EntryId(tape.epoch, tape.chunks[2][1])), name, "standard", "age"
    )
    await one_bus.cut(conversation, cut, settled=state.settled)
    rows = await listed(api, conversation)
    assert rows[0]["path"] == name
    deleting = asyncio.create_task(cutter.chunks(api, rows[0]["timestamp"]))
    async with asyncio.timeout(60):
        while (await one_bus.state(conversation)).flush is None:
            await asyncio.sleep(0.01)
    # It is counted as stored before it is counted as deleted.
    samples = sum(chunk.samples for chunk, _ in tape.chunks[:3])
    assert await one_bus.finish(
        conversation, cut.encode(), last=cut.last_id, preroll=None, samples=samples, ends={}, now_ms=1
    )
    answer = await deleting
    assert answer.json() == {"deleted_objects": 1, "deleted_seconds": round(samples / 48_000, 6)}
    assert await names(store) == []
    assert (await cutter.balance()).deleted == samples


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"timestamps": ""},
        {"timestamps": "soon"},
        {"timestamps": "1,,2"},
        {"timestamps": ",".join(["1"] * 1001)},
    ],
)
async def test_times_that_are_none(api, tape, cutter, pcm_tone, query):
    await tape.record(pcm_tone(2))
    answer = await cutter.send(api, "/chunks", query)
    assert (answer.status_code, answer.json()["code"], answer.json()["parameter"]) == (
        400,
        "bad_parameter",
        "timestamps",
    )
    assert (await cutter.balance()).deleted == 0
