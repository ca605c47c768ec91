"""What is heard of merges for all sockets of a process: how much it costs Redis, counted by Redis, and that no word is missed."""

import asyncio
import time
import uuid

import pytest

from audiobus import Bus, Conversation, EntryId, frozen, merging
from audiobus.errors import BusContractError
from listen.merge_news import MergeNews

SOURCE, OTHER, TARGET = (Conversation("alice", cid) for cid in ("a", "b", "all"))
LATER = 10**14
SOCKETS = 20


@pytest.fixture
async def bus(redis_url):
    async with Bus(redis_url, prefix=f"t{uuid.uuid4().hex[:12]}:") as made:
        yield made


@pytest.fixture
def news(bus):
    return MergeNews(bus)


async def calls(bus) -> dict[str, int]:
    """By command, as Redis counts them; those of scripts, too."""
    stats = await bus.command("INFO", "commandstats")
    return {name.removeprefix("cmdstat_"): row["calls"] for name, row in stats.items()}


async def test_a_word_is_told_for_a_while(bus, news, monkeypatch):
    assert not news.tells_of(SOURCE)
    await news.look()
    await frozen.tell_frozen(bus, SOURCE)
    await news.look()
    assert news.tells_of(SOURCE)
    assert not news.tells_of(OTHER)
    # Read again with what was read before, it is no news.
    monkeypatch.setattr("listen.merge_news.FRESH_LOOKS", 0)
    await news.look()
    assert not news.tells_of(SOURCE)
    monkeypatch.undo()
    await frozen.tell_frozen(bus, SOURCE)
    await news.look()
    assert news.tells_of(SOURCE)


async def test_what_was_said_before_it_began_is_heard_page_by_page(bus, news, monkeypatch):
    for module in ("listen.merge_news", "audiobus.frozen"):
        monkeypatch.setattr(f"{module}.PAGE", 2)
    several = [Conversation("alice", f"c{number}") for number in range(5)]
    for one in several:
        await frozen.tell_frozen(bus, one)
    await news.look()
    assert all(map(news.tells_of, several))


async def test_a_redis_whose_clock_is_behind_is_heard_after_a_failover(bus, news):
    now_ms = time.time_ns() // 1_000_000
    key = bus.keys.frozen()
    await bus.command("XADD", key, f"{now_ms}-0", "c", OTHER.tag)
    await news.look()
    await bus.command("DEL", key)
    await bus.command("XADD", key, f"{now_ms - 30_000}-0", "c", SOURCE.tag)
    await news.look()
    assert news.tells_of(SOURCE)


async def test_what_it_remembers_stays_small(bus, news, monkeypatch):
    key = bus.keys.frozen()
    for number in range(50):
        await bus.command("XADD", key, f"{number + 1}-0", "c", f"alice/{number}")
    await bus.command("XADD", key, f"{10**9}-0", "c", SOURCE.tag)
    monkeypatch.setattr("listen.merge_news.FRESH_LOOKS", 0)
    await news.look()
    assert {*news._told} == {EntryId(10**9, 0)}


async def test_a_word_survives_a_look_that_fails(bus, news):
    await frozen.tell_frozen(bus, SOURCE)
    await news.look()
    await bus.command("SET", bus.keys.frozen(), "no stream")
    with pytest.raises(BusContractError):
        await news.look()
    assert news.tells_of(SOURCE)


async def test_no_word_grows_old_while_redis_is_away(bus, news, monkeypatch):
    """However long that takes, and however often it was looked for in vain."""
    monkeypatch.setattr("listen.merge_news.FRESH_LOOKS", 3)
    loop = asyncio.get_running_loop()
    before_s = loop.time()
    await frozen.tell_frozen(bus, SOURCE)
    key = bus.keys.frozen()
    await news.look()
    kept = await bus.command("DUMP", key)
    await bus.command("SET", key, "no stream")
    with monkeypatch.context() as patch:
        patch.setattr(loop, "time", lambda: before_s + 600.0)
        for _ in range(5):
            with pytest.raises(BusContractError):
                await news.look()
    await bus.command("RESTORE", key, 0, kept, "REPLACE")
    with monkeypatch.context() as patch:
        patch.setattr(loop, "time", lambda: before_s + 900.0)
        await news.look()
    assert news.tells_of(SOURCE)
    for _ in range(2):
        await news.look()
    assert not news.tells_of(SOURCE)


async def test_redis_is_not_asked_while_nobody_asks(make_service, redis_process, monkeypatch):
    monkeypatch.setattr("listen.merge_news.LOOK_S", 0.01)
    async with make_service(url=redis_process.url).here() as service:
        await asyncio.sleep(0.2)  # twenty looks
        assert "xrange" not in await calls(service.bus)


async def test_silent_sockets_cost_one_command_for_all_of_them(make_service, redis_process, monkeypatch):
    """Before there was word, each asked by itself: two commands a look."""
    monkeypatch.setattr("listen.merge_watch.LOOK_MS", 50)
    monkeypatch.setattr("listen.merge_news.LOOK_S", 0.05)
    async with make_service(url=redis_process.url).here() as service, asyncio.TaskGroup() as tasks:
        bus, silent = service.bus, asyncio.Event()
        closed, heard = asyncio.Queue(), asyncio.Semaphore(0)

        async def device(cid: str) -> None:
            async with service.connect(f"conversation_id={cid}") as client:
                await client.hear("ready")
                heard.release()
                if cid == SOURCE.cid:
                    await closed.put((await client.closed(), client.codes))
                else:
                    await silent.wait()

        for cid in (SOURCE.cid, *(f"c{number}" for number in range(SOCKETS - 1))):
            tasks.create_task(device(cid))
        for _ in range(SOCKETS):
            await heard.acquire()
        await bus.command("CONFIG", "RESETSTAT")
        async with asyncio.timeout(60):
            while (stats := await calls(bus)).get("xrange", 0) < 10:
                await asyncio.sleep(0.02)
            assert (stats.get("hmget", 0), stats.get("get", 0)) == (0, 0)
            # Who is meant is asked after, nobody else.
            await merging.freeze(bus, SOURCE, TARGET, "op", "word", until_ms=LATER)
            assert await closed.get() == (4409, ["merging"])
        silent.set()
