"""What is noted of dead letters that go with a stretch: no more than is kept of any times, and the oldest leave for it."""

from audiobus.deletions import KEPT_MS
from audiobus.meant import VERSION, Meant, note, notes
from audiobus.replacing import Replacing
from storage_api.wall_clock import now_ms


async def bury_all(tape) -> list[int]:
    """When each begins, unix ms."""
    entries = [one for one in await tape.bus.read(tape.conversation, count=100) if one.chunk is not None]
    at = 0
    for entry, (chunk, end) in zip(entries, tape.chunks, strict=True):
        samples = chunk.samples
        await tape.bus.bury(
            tape.conversation, entry, reason="t", first_offset=at, samples=samples, now_ms=now_ms()
        )
        at = end
    return [chunk.run_start_ms + chunk.first_sample // 48 for chunk, _ in tape.chunks]


async def noted_before(bus, conversation, times) -> None:
    turn = Replacing(bus, conversation)
    assert await turn.hold()
    assert await note(turn, {at: Meant(VERSION, when, ("x",), (), ()) for at, when in times.items()})
    await turn.release()


async def test_a_stretch_takes_away_what_is_old_and_what_is_too_many(
    api, tape, cutter, conversation, one_bus, pcm_tone, monkeypatch
):
    monkeypatch.setattr("audiobus.meant.MOST", 5)
    monkeypatch.setattr("audiobus.meant.AT_ONCE", 2)
    await tape.record(pcm_tone(4))
    begins = await bury_all(tape)
    assert len(begins) == 5
    now = now_ms()
    await noted_before(
        one_bus, conversation, {1: now - KEPT_MS, 2: now - 1_000, 3: now - 3_000, 4: now - 2_000}
    )
    assert (await cutter.stretch(api, 0.0, 2.5)).status_code == 200
    left = (await notes(one_bus, conversation)).meant
    assert set(left) == {2, 4, *begins[:3]}
    assert (await cutter.stretch(api, 0.0, 99.0)).status_code == 200
    assert set((await notes(one_bus, conversation)).meant) == set(begins)


async def test_more_letters_than_are_noted_go_all_the_same(
    api, tape, cutter, conversation, one_bus, pcm_tone, monkeypatch
):
    monkeypatch.setattr("audiobus.meant.MOST", 2)
    await tape.record(pcm_tone(4))
    begins = await bury_all(tape)
    assert (await cutter.stretch(api, 0.0, 99.0)).status_code == 200
    assert not await one_bus.command("EXISTS", one_bus.keys.dead(conversation))
    assert set((await notes(one_bus, conversation)).meant) == set(begins[-2:])
