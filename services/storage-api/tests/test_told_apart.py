"""Entries that do not parse are listed at no time that means something else, and at their own still."""

import pytest

from audiobus import EntryId
from audiobus.deletions import unstore
from audiobus.errors import BusUnavailableError
from audiobus.meant import VERSION, Meant, meant_at, note
from audiobus.replacing import Replacing
from audiocodec.span import Span
from storage_api import told_apart as module
from storage_api.timeline import Live, Piece
from storage_api.told_apart import told_apart
from storage_api.unheard import Unheard, placed

T0 = 1_700_000_000_000
SECOND = 48_000
PIECE = Piece(Span("conv-1", 7, 0, 64_000, T0, 0, 2 * SECOND, 0, 0, False, ()), Live(0))


def lost(at_s: int, span: Span | None = None) -> Unheard:
    return Unheard(EntryId(7, (at_s + 1) * 32_000), at_s * 32_000, SECOND, "damaged", span)


@pytest.fixture
def asked(monkeypatch) -> list[list[int]]:
    """Of which times it is asked what they meant."""
    made: list[list[int]] = []

    async def watched(bus, conversation, at_ms):
        made.append(list(at_ms))
        return await meant_at(bus, conversation, at_ms)

    monkeypatch.setattr(module, "meant_at", watched)
    return made


@pytest.fixture
def noted(one_bus, conversation):
    async def write(times: dict[int, tuple[str, ...]]) -> None:
        turn = Replacing(one_bus, conversation)
        assert await turn.hold()
        meant = {at_ms: Meant(VERSION, T0, (), entries, ()) for at_ms, entries in times.items()}
        assert await note(turn, meant)
        await turn.release()

    return write


async def begins(bus, conversation, *unheard: Unheard) -> list[int]:
    apart = await told_apart(bus, conversation, unheard, lambda: [PIECE])
    return [one.start_48k // 48 - T0 for one in placed(apart, [PIECE], conversation.cid)]


async def test_each_moves_past_times_of_others_and_stays_at_its_own(one_bus, conversation, noted, asked):
    third, fourth = lost(2), lost(3)
    assert await begins(one_bus, conversation, third, fourth) == [2_000, 3_000]
    other = ("9-9",)
    await noted({T0 + 2_000: other, T0 + 2_001: (str(third.id),), T0 + 3_000: (str(third.id),)})
    assert await begins(one_bus, conversation, third, fourth) == [2_001, 3_001]
    # Times of older builds, and starts of what was deleted.
    await one_bus.command("HSET", one_bus.keys.gone(conversation), f"time/{T0 + 3_001}", "0")
    start = f"{(T0 + 3_002) / 1000:.3f}"
    name = f"chunks/{conversation.uid}/{conversation.cid}/{start}-1700000009.000.batch.bin"
    await unstore(one_bus, conversation, {name: 0}, T0)
    assert await begins(one_bus, conversation, third, fourth) == [2_001, 3_003]
    assert asked[-1] == [T0 + 2_000, T0 + 2_001, T0 + 3_000]


async def test_what_far_times_meant_is_not_read(one_bus, conversation, noted, asked):
    await noted({T0 + 60_000 + at: ("9-9",) for at in range(2_000)} | {T0 + 2_000: ("9-9",)})
    assert await begins(one_bus, conversation, lost(2)) == [2_001]
    assert asked == [[T0 + 2_000]]


async def test_of_what_says_its_time_itself_nothing_is_asked(one_bus, conversation, asked):
    told = (lost(2, PIECE.span),)
    assert await told_apart(one_bus, conversation, told, list) is told
    assert asked == []


async def test_what_is_noted_and_is_none_leaves_them_where_they_lie_most_likely(one_bus, conversation, noted):
    await noted({T0 + 2_000: ("9-9",)})
    await one_bus.command("HSET", one_bus.keys.meant(conversation), "soon", "x")
    assert await begins(one_bus, conversation, lost(2)) == [2_000]


async def test_where_redis_goes_away_meanwhile_the_bucket_tells_what_there_is(
    api, tape, conversation, one_bus, pcm_tone, monkeypatch
):
    await tape.record(pcm_tone(4))
    await tape.drain(0, 2)
    entry = next(one for one in await one_bus.read(conversation, count=9) if one.chunk is not None)
    key, fields = one_bus.keys.audio(conversation), {**entry.fields, b"c": b"x"}
    await one_bus.command("DEL", key)
    await one_bus.command("XADD", key, str(entry.id), *(part for pair in fields.items() for part in pair))
    rows = (await api.get(conversation, "/chunks")).json()["chunks"]
    assert [row["state"] for row in rows] == ["stored", "live"]

    async def away(*_):
        raise BusUnavailableError("HKEYS")

    monkeypatch.setattr("storage_api.recording.told_apart", away)
    rows = (await api.get(conversation, "/chunks")).json()["chunks"]
    assert [row["state"] for row in rows] == ["stored"]
