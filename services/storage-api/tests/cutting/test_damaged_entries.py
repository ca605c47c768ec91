"""Entries that do not parse, each deleted by the time at which it is listed: which is worked out from what is left beside it."""

import pytest

from audiobus import EntryId
from audiobus.deletions import unstore


async def listed(api, conversation) -> list[dict]:
    return (await api.get(conversation, "/chunks")).json()["chunks"]


async def unreadable(api, conversation) -> list[str]:
    return [row["timestamp"] for row in await listed(api, conversation) if row["unreadable"]]


async def damage(tape, first: int) -> list[str]:
    """Cuts every chunk short from one on. Their ids."""
    key = tape.bus.keys.audio(tape.conversation)
    entries = await tape.bus.read(tape.conversation, count=1_000)
    await tape.bus.command("DEL", key)
    bad = [EntryId(tape.epoch, end) for _, end in tape.chunks[first:]]
    for entry in entries:
        fields = dict(entry.fields)
        if entry.id in bad:
            fields[b"c"] = fields[b"c"][:50]
        await tape.bus.command(
            "XADD", key, str(entry.id), *(part for pair in fields.items() for part in pair)
        )
    return [str(one) for one in bad]


async def waiting(tape) -> list[str]:
    entries = await tape.bus.read(tape.conversation, count=1_000)
    return [str(one.id) for one in entries if one.chunk]


async def test_each_goes_by_the_time_at_which_it_was_listed_before_others_went(
    api, tape, cutter, conversation, pcm_tone
):
    await tape.record(pcm_tone(6))
    await tape.drain(0, 2)
    ids = await damage(tape, 2)
    times = await unreadable(api, conversation)
    for number, at in enumerate(times[:-1], 1):
        assert (await cutter.chunks(api, at)).json()["deleted_seconds"] > 0.9
        assert await waiting(tape) == ids[number:], at
    # None of them has moved.
    assert await unreadable(api, conversation) == times[-1:]


async def test_after_a_stretch_each_can_be_deleted_yet(api, tape, cutter, conversation, pcm_tone):
    await tape.record(pcm_tone(5))
    await tape.drain(0, 2)
    await tape.drain(2, 4)
    await damage(tape, 4)
    before = await unreadable(api, conversation)
    assert (await cutter.stretch(api, 1.994, 3.99)).status_code == 200
    times = await unreadable(api, conversation)
    assert times
    assert times == before
    for at in times:
        await cutter.chunks(api, at)
    assert await waiting(tape) == []


async def test_one_that_comes_to_lie_where_a_deleted_object_began_can_be_deleted(
    api, tape, cutter, conversation, one_bus, pcm_tone
):
    """By that time it would be the object that is asked for again, and the entry would stay for good."""
    await tape.record(pcm_tone(3))
    await tape.drain(0, 2)
    [_, *rest] = await damage(tape, 2)
    at, *_ = await unreadable(api, conversation)
    name = f"chunks/{conversation.uid}/{conversation.cid}/{at}-1700000009.000.batch.bin"
    await unstore(one_bus, conversation, {name: 0}, 1_700_000_100_000)
    now, *_ = await unreadable(api, conversation)
    assert float(now) == pytest.approx(float(at) + 0.001, abs=1e-5)
    assert (await cutter.chunks(api, at)).json()["deleted_seconds"] == 0
    assert (await cutter.chunks(api, now)).json()["deleted_seconds"] > 0.9
    assert await waiting(tape) == rest
