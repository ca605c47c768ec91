"""Time: the first sample, the sample clock, runs."""

import time

import pytest


def now_ms():
    return int(time.time() * 1000)


async def runs(listen, cid):
    """Start (unix ms) and length (ms) of each run."""
    found = {}
    for chunk in await listen.chunks(cid):
        found[chunk.run_start_ms] = found.get(chunk.run_start_ms, 0) + chunk.samples
    return sorted((start, samples // 48) for start, samples in found.items())


async def marked(listen, cid, second, *marks):
    """A mark before each second of audio; None: no mark. Answers the client."""
    async with listen.connect(conversation_id=cid) as client:
        await client.ready()
        for at_ms in marks:
            if at_ms is not None:
                await client.say(type="mark", at_ms=at_ms)
            await client.send(second)
        await client.say(type="close")
        assert await client.closed() == 1000
        return client


async def test_the_arrival_less_its_duration(listen, second):
    """time.arrival, time.clock: without a mark the first message is as old as it is long; then the sample clock rules."""
    before = now_ms()
    await marked(listen, "arrival", second, None, None, None)
    after = now_ms()
    [(start, length)] = await runs(listen, "arrival")
    assert before - 1_000 <= start <= after - 1_000
    assert length == 3_000  # though it came at once


async def test_the_mark(listen, second):
    """time.mark, time.clock: the first sample's time is the mark."""
    start = now_ms() - 86_400_000
    await marked(listen, "mark", second, start, None)
    assert await runs(listen, "mark") == [(start, 2_000)]
    chunks = await listen.chunks("mark")
    assert [chunk.first_sample for chunk in chunks] == [
        sum(c.samples for c in chunks[:n]) for n in range(len(chunks))
    ]


@pytest.mark.parametrize(("ahead", "begins"), [(50, False), (51, True), (3_600_000, True)])
async def test_a_mark_ahead(listen, second, ahead, begins):
    """time.v1_run: more than 50 ms ahead of the sample clock, and only there."""
    start = now_ms() - 86_400_000
    await marked(listen, f"ahead-{ahead}", second, start, start + 1_000 + ahead)
    expected = [(start, 1_000), (start + 1_000 + ahead, 1_000)] if begins else [(start, 2_000)]
    assert await runs(listen, f"ahead-{ahead}") == expected


async def test_v1_audio_that_comes_late(listen, second):
    """time.v1_run: in v1 no arrival begins a run, however late it is."""
    start = now_ms() - 86_400_000
    await marked(listen, "late", second, start, None, None)  # a day late
    assert await runs(listen, "late") == [(start, 3_000)]


async def test_a_mark_behind(listen, second):
    """time.behind: it is ignored, without an error; the next gap absorbs the drift."""
    start = now_ms() - 86_400_000
    client = await marked(listen, "behind", second, start, start + 500, start + 10_000)
    assert client.errors == []
    assert await runs(listen, "behind") == [(start, 2_000), (start + 10_000, 1_000)]


@pytest.mark.parametrize(
    "at_ms",
    [-31 * 86_400_000, 61_500, "now", None, True, 1.5],
    ids=["too old", "too far ahead", "text", "nothing", "boolean", "fraction"],
)
async def test_bad_marks(listen, second, at_ms):
    """time.bad_mark: older than 30 days, more than 60 s ahead, or no time at all: `bad_mark`, and ignored."""
    wrong = now_ms() + at_ms if type(at_ms) is int else at_ms
    async with listen.connect(conversation_id=f"bad-{at_ms}") as client:
        await client.ready()
        await client.say(type="mark", at_ms=wrong)
        await client.hear("error", code="bad_mark")
        before = now_ms()
        await client.send(second)
        await client.say(type="close")
        assert await client.closed() == 1000
    [(start, _)] = await runs(listen, f"bad-{at_ms}")
    assert before - 1_000 <= start <= now_ms() - 1_000


@pytest.mark.parametrize("at_ms", [-29 * 86_400_000, 58_000], ids=["old", "ahead"])
async def test_marks_near_the_bounds(listen, second, at_ms):
    """time.bad_mark: those within the bounds are taken."""
    at = now_ms() + at_ms
    client = await marked(listen, f"near-{at_ms}", second, at)
    assert client.errors == []
    assert await runs(listen, f"near-{at_ms}") == [(at, 1_000)]


async def test_a_mark_in_mid_sample(listen, second):
    """time.bad_mark: in the middle of a sample, too."""
    start = now_ms() - 86_400_000
    async with listen.connect(conversation_id="mid") as client:
        await client.ready()
        await client.say(type="mark", at_ms=start)
        await client.send(second[:-1])
        await client.say(type="mark", at_ms=start + 20_000)
        await client.hear("error", code="bad_mark")
        await client.send(second[-1:], second)
        await client.say(type="close")
        assert await client.closed() == 1000
    assert await runs(listen, "mid") == [(start, 2_000)]


async def test_a_burst_and_an_early_arrival(listen, second):
    """time.burst: audio that arrives early never moves the clock."""
    before = now_ms()
    async with listen.connect(
        plain=True, codec="pcm16", sample_rate=16_000, conversation_id="burst"
    ) as client:
        await client.send(*[second] * 6)  # six seconds at once
        await client.say(type="close")
        assert await client.closed() == 1000
    [(start, length)] = await runs(listen, "burst")
    assert before - 1_000 <= start <= now_ms() - 1_000
    assert length == 6_000
