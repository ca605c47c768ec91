"""Redis with little memory, and a bucket that is away: real processes. Long: run by `make chaos`, and with TAPEDECK_TEST_FAILOVER_LONG=1."""

import asyncio
import contextlib

import httpx
import pytest
import websockets

from audiobus import Bus
from audiobus.memory import memory_share
from tapedeck_testing.account import assert_stored_once, flush, packets_back
from tapedeck_testing.books import books_close
from tapedeck_testing.faults.hand import Hand
from tapedeck_testing.protocol_client import ProtocolClient
from tapedeck_testing.recordings import opus_packets
from tapedeck_testing.redis_binary import any_server
from tapedeck_testing.redis_process import RedisProcess

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(300),
]
UID = "u"
ROOM = 4 * 1024 * 1024
"""What Redis may take beside what it takes empty: some twenty minutes of audio."""
SPOKEN = opus_packets(60, seed=1)
"""What all devices say; encoding takes longer than anything else here."""


@pytest.fixture
def small_redis(tmp_path):
    server = RedisProcess(any_server(), tmp_path / "redis").start()
    yield server
    server.stop()


def client(stack, number: int, packets=SPOKEN) -> ProtocolClient:
    """A device that sends what it has as fast as it is taken."""
    token = stack.user_token(f"{UID}{number}")
    return ProtocolClient(stack.facts["listen"], token, f"c-{number}", packets, codec="opus")


async def until(condition, within_s: float = 90.0) -> None:
    async with asyncio.timeout(within_s):
        while not await condition():
            await asyncio.sleep(0.2)


async def readyz(stack, service: str) -> str:
    async with httpx.AsyncClient() as http:
        return (await http.get(f"{stack.facts['admin'][service]}/readyz?verbose")).text


async def metric(stack, service: str, name: str) -> float:
    async with httpx.AsyncClient() as http:
        text = (await http.get(f"{stack.facts['admin'][service]}/metrics")).text
    rows = [row for row in text.splitlines() if row.startswith(f"tapedeck_{name}")]
    return sum(float(row.rsplit(" ", 1)[1]) for row in rows)


@contextlib.contextmanager
def away(store):
    """The bucket cannot be written to."""
    hidden = store.with_name("store.away")
    store.mkdir(parents=True, exist_ok=True)
    store.rename(hidden)
    store.write_text("no folder")
    yield
    store.unlink()
    hidden.rename(store)


async def test_a_bucket_comes_back_to_a_redis_that_is_nearly_full(start_stack, small_redis):
    stack = start_stack("--redis-url", small_redis.url, environ={"TAPEDECK_BATCH_SECONDS": "60"})
    async with Bus(small_redis.url) as bus, asyncio.TaskGroup() as tasks:
        taken = (await bus.client.info("memory"))["used_memory"]
        await bus.command("CONFIG", "SET", "maxmemory", taken + ROOM)
        recordings: list[ProtocolClient] = []
        with away(stack.store):

            async def is_full() -> bool:
                recordings.append(client(stack, len(recordings)))
                tasks.create_task(recordings[-1].run())
                return (await memory_share(bus) or 0) >= 0.92

            await until(is_full)

            async def refuses() -> bool:
                host, port = stack.facts["listen"].removeprefix("ws://").split(":")
                try:
                    async with Hand((host, int(port)), stack.user_token("new"), "refused"):
                        return False
                except websockets.InvalidStatus as refused:
                    assert refused.response.status_code == 503
                    assert int(refused.response.headers["Retry-After"]) > 0
                    return True

            await until(refuses)
            for service in ("listen", "pusher"):
                assert "[!]redis memory warning" in await readyz(stack, service)
            assert await metric(stack, "pusher", "redis_memory_ratio") > 0.8
            assert await metric(stack, "pusher", 'batches_total{reason="pressure"}') == 0

        async def has_room() -> bool:
            return (await memory_share(bus) or 0) < 0.75

        await until(has_room)
        # Those that were let in, and had to wait, end by themselves.
        await until(lambda: all_done(recordings), 120)
        await until(lambda: lets_in(stack))
    assert await metric(stack, "listen", "audio_lost_seconds_total") == 0
    async with stack.http() as http:
        for number, recorder in enumerate(recordings):
            uid, cid = f"{UID}{number}", recorder.conversation_id
            await flush(http, uid, cid)
            assert await packets_back(http, uid, cid) == SPOKEN
            assert_stored_once(stack.store, uid, cid)
    async with Bus(small_redis.url) as bus:
        await books_close(bus, stored=True)


@pytest.mark.long(in_ci=True)
async def test_more_is_spoken_at_once_than_redis_holds_for_a_minute(start_stack, small_redis):
    """The bucket is well, every session goes on: without early draining the audio of a minute would not fit."""
    stack = start_stack("--redis-url", small_redis.url, environ={"TAPEDECK_BATCH_SECONDS": "60"})
    host, port = stack.facts["listen"].removeprefix("ws://").split(":")
    spoken = SPOKEN[:2000]
    async with Bus(small_redis.url) as bus, contextlib.AsyncExitStack() as sockets:
        taken = (await bus.client.info("memory"))["used_memory"]
        await bus.command("CONFIG", "SET", "maxmemory", taken + ROOM)
        for number in range(60):  # more than twice what there is room for
            hand = Hand((host, int(port)), stack.user_token(f"{UID}{number}"), f"c-{number}")

            async def let_in(hand=hand) -> bool:
                try:
                    await sockets.enter_async_context(hand)
                except websockets.InvalidStatus as refused:
                    assert refused.response.status_code == 503
                    return False
                return True

            await until(let_in)
            await hand.ready()
            await hand.send(*spoken)
        await until(lambda: pressed(stack))

        async def has_room() -> bool:
            return (await memory_share(bus) or 0) < 0.75

        await until(has_room)
    assert await metric(stack, "listen", "audio_lost_seconds_total") == 0
    async with stack.http() as http:
        for number in range(60):
            await flush(http, f"{UID}{number}", f"c-{number}")
            assert await packets_back(http, f"{UID}{number}", f"c-{number}") == spoken
            assert_stored_once(stack.store, f"{UID}{number}", f"c-{number}")
    async with Bus(small_redis.url) as bus:
        await books_close(bus, stored=True)


async def pressed(stack) -> bool:
    return await metric(stack, "pusher", 'batches_total{reason="pressure"}') > 10


async def all_done(recordings) -> bool:
    return all(recorder.acked == recorder.total for recorder in recordings)


async def lets_in(stack) -> bool:
    recorder = client(stack, 999, SPOKEN[:50])
    try:
        async with asyncio.timeout(5):
            await recorder.run()
    except TimeoutError:
        return False
    return True
