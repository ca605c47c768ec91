"""The rules that take their time, all waited for at once, beside the tests that need none.

Owns a thread with an event loop, and the servers of its own. A test asks for the outcome of one of them. What is done for each of
them stands in `slow_rules`.
"""

import asyncio
import os
import threading
from pathlib import Path
from typing import Final

from tapedeck_testing.protocol.listen_process import ListenProcess
from tapedeck_testing.protocol.slow_rules import LONG_ONES, SCENARIOS, Outcome, Place
from tapedeck_testing.recordings import noisy_pcm, opus_packets
from tapedeck_testing.redis_binary import any_server
from tapedeck_testing.redis_process import RedisProcess

DEADLINE_S: Final = 240.0
LONG: Final = bool(os.environ.get("TAPEDECK_LONG_TESTS") or os.environ.get("CI") == "true")
"""Whether what takes over a minute is waited for."""


class Waits:
    """Everything under way. `outcome` waits for one and answers what it found."""

    def __init__(self, folder: Path) -> None:
        self._redis = RedisProcess(any_server(), folder / "redis").start()
        self._frozen_redis = RedisProcess(any_server(), folder / "frozen").start()
        self.pcm = noisy_pcm(1, seed=5)
        listen = ListenProcess(self._redis.url, folder / "listen").start()
        often = ListenProcess(self._redis.url, folder / "often", TAPEDECK_CHUNK_MS="200")
        self._place = place = Place(
            listen=listen,
            often=often.start() if LONG else often,  # only a long one needs it
            frozen=ListenProcess(self._frozen_redis.url, folder / "frozen-listen").start(),
            frozen_redis=self._frozen_redis,
            pcm=self.pcm,
            packets=opus_packets(20, seed=6),
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="waits")
        self._thread.start()
        self._found = {
            name: asyncio.run_coroutine_threadsafe(asyncio.wait_for(scenario(place), DEADLINE_S), self._loop)
            for name, scenario in SCENARIOS.items()
            if LONG or name not in LONG_ONES
        }

    async def outcome(self, name: str) -> Outcome:
        """What came of it, and how long it took."""
        return await asyncio.wrap_future(self._found[name])

    def close(self) -> None:
        """Ends everything."""
        for future in self._found.values():
            future.cancel()
        asyncio.run_coroutine_threadsafe(_cancelled(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        for listen in (self._place.listen, self._place.often, self._place.frozen):
            listen.kill()
        for redis in (self._redis, self._frozen_redis):
            redis.kill()


async def _cancelled() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
