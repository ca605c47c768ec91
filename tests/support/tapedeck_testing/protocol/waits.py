"""The rules that take their time (pings, deadlines, silence), all waited for at once, beside the tests that need none.

Owns a thread with an event loop, and the servers of its own. A test asks for the outcome of one of them.
"""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from websockets.exceptions import ConnectionClosed

from tapedeck_testing.protocol.listen_process import ListenProcess
from tapedeck_testing.protocol.raw_socket import RawSocket, handshake, masked
from tapedeck_testing.recordings import noisy_pcm
from tapedeck_testing.redis_binary import any_server
from tapedeck_testing.redis_process import RedisProcess

DEADLINE_S: Final = 118.0
LONG: Final = bool(os.environ.get("TAPEDECK_LONG_TESTS") or os.environ.get("CI") == "true")
"""Whether what takes over a minute is waited for."""

PING: Final = 0x9

Scenario = Callable[["Waits"], Coroutine[Any, Any, Any]]


class Waits:
    """Everything under way. `outcome` waits for one and answers what it found."""

    def __init__(self, folder: Path) -> None:
        self.redis = RedisProcess(any_server(), folder / "redis").start()
        self.frozen_redis = RedisProcess(any_server(), folder / "frozen").start()
        self.listen = ListenProcess(self.redis.url, folder / "listen", TAPEDECK_CHUNK_MS="200").start()
        self.frozen = ListenProcess(self.frozen_redis.url, folder / "frozen-listen").start()
        self.pcm = noisy_pcm(1, seed=5)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="waits")
        self._thread.start()
        self._found = {
            name: asyncio.run_coroutine_threadsafe(asyncio.wait_for(scenario(self), DEADLINE_S), self._loop)
            for name, scenario in SCENARIOS.items()
            if LONG or name not in LONG_ONES
        }

    async def outcome(self, name: str) -> Any:
        """What came of it."""
        return await asyncio.wrap_future(self._found[name])

    def close(self) -> None:
        """Ends everything."""
        for future in self._found.values():
            future.cancel()
        asyncio.run_coroutine_threadsafe(_cancelled(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        for listen in (self.listen, self.frozen):
            listen.kill()
        for redis in (self.redis, self.frozen_redis):
            redis.kill()


async def _cancelled() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _ping(waits: Waits) -> int:
    """The first frame after `ready` on a line on which nothing is sent."""
    async with RawSocket.connect(waits.listen) as raw:
        assert (await raw.frame())[0] == 0x81  # ready
        return (await raw.frame())[0]


async def _silence(waits: Waits) -> list[int]:
    """The frames of a line on which nothing is ever sent, not even pongs, until its end."""
    frames = []
    async with RawSocket.connect(waits.listen) as raw:
        try:
            while True:
                frames.append((await raw.frame())[0])
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return frames


async def _first_message(waits: Waits) -> tuple[int, list[str]]:
    """A page that is accepted and sends nothing."""
    async with waits.listen.connect("/v4/web/listen", token="") as client:
        return await client.closed(), client.errors


async def _finalize(waits: Waits) -> dict[str, Any]:
    """`finalize` where nobody stores: there is no pusher here."""
    async with waits.listen.connect(conversation_id="nobody-stores") as client:
        await client.ready()
        await client.send(waits.pcm)
        await client.say(type="finalize")
        return await client.hear("finalized")


async def _rest(waits: Waits) -> int:
    """Half a second of PCM, and then nothing: the first ack that covers all of it."""
    async with waits.listen.connect(conversation_id="rest") as client:
        await client.ready()
        await client.send(waits.pcm[:16_000])
        return int((await client.acked(16_000))["offset"])


async def _late_for_good(waits: Waits) -> list[int]:
    """A plain client that pauses three seconds and then goes on in real time: how far its runs lie from the first."""
    async with waits.listen.connect(
        plain=True, codec="pcm16", sample_rate=16_000, conversation_id="late"
    ) as client:
        for index in range(8):
            await client.send(waits.pcm[: len(waits.pcm) // 2])
            await asyncio.sleep(3.5 if index == 1 else 0.5)  # the device's own pace
        await client.say(type="close")
        assert await client.closed() == 1000
    starts = sorted({chunk.run_start_ms for chunk in await waits.listen.chunks("late")})
    return [start - starts[0] for start in starts]


async def _stall_and_burst(waits: Waits) -> list[int]:
    """A plain client whose line stalls for two seconds and then brings all of it at once."""
    async with waits.listen.connect(
        plain=True, codec="pcm16", sample_rate=16_000, conversation_id="stall"
    ) as client:
        await client.send(waits.pcm)
        await asyncio.sleep(3.0)
        await client.send(*[waits.pcm] * 3)
        for _ in range(3):
            await asyncio.sleep(0.5)
            await client.send(waits.pcm[: len(waits.pcm) // 2])
        await client.say(type="close")
        assert await client.closed() == 1000
    chunks = await waits.listen.chunks("stall")
    assert sum(chunk.samples for chunk in chunks) == 5.5 * 48_000
    return sorted({chunk.run_start_ms for chunk in chunks})


async def _refreshed(waits: Waits) -> dict[str, Any]:
    """An ack that comes though nothing was sent: `stored` is looked at again."""
    async with waits.listen.connect(conversation_id="refreshed") as client:
        await client.ready()
        await client.send(waits.pcm)
        await client.acked(30_000)
        await client.hear("ack", offset=len(waits.pcm))  # the line rests
        return await client.hear("ack")


async def _redis_away(waits: Waits) -> dict[str, Any]:
    """Redis stands still under a socket that goes on sending."""
    found: dict[str, Any] = {}
    async with waits.frozen.connect(conversation_id="away") as client:
        found["session"] = (await client.ready())["session"]
        await client.send(waits.pcm)
        found["acked"] = (await client.acked(30_000))["offset"]
        assert waits.frozen_redis.process is not None
        waits.frozen_redis.process.send_signal(signal.SIGSTOP)
        await client.send(*[waits.pcm] * 10)
        async with asyncio.timeout(60):
            while True:
                try:
                    await client.next()
                except TimeoutError:
                    continue
                except ConnectionClosed:
                    found["code"] = client.socket.close_code
                    break
    waits.frozen_redis.process.send_signal(signal.SIGCONT)
    found["texts"] = [message for message in client.texts if message["type"] in ("status", "error")]
    async with asyncio.timeout(20):
        while not waits.frozen.ready:
            await asyncio.sleep(0.05)
    async with waits.frozen.connect(conversation_id="away", session=found["session"]) as client:
        found["resumed"] = await client.ready()
    return found


async def _never_reads(waits: Waits) -> float:
    """A plain device that reads nothing, with room for some 350 acks, at five a second: seconds of its audio that are safe."""
    query = "codec=pcm8&sample_rate=8000&conversation_id=never-reads"
    async with RawSocket.dial(waits.listen) as raw:
        connection = raw.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 24_576)
        raw.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport of both ways
        raw.writer.write(handshake(waits.listen.port, waits.listen.token(), query, plain=True))
        for _ in range(180):
            raw.writer.write(masked(0x82, bytes(range(250)) * 16, b"mask"))
            await raw.writer.drain()
            await asyncio.sleep(0.5)
        await waits.listen.appended("never-reads", 89)
    return sum(chunk.samples for chunk in await waits.listen.chunks("never-reads")) / 48_000


SCENARIOS: Final[dict[str, Scenario]] = {
    "ping": _ping,
    "silence": _silence,
    "first message": _first_message,
    "finalize": _finalize,
    "rest": _rest,
    "late for good": _late_for_good,
    "stall and burst": _stall_and_burst,
    "refreshed": _refreshed,
    "redis away": _redis_away,
    "never reads": _never_reads,
}
LONG_ONES: Final = frozenset({"silence", "never reads"})
