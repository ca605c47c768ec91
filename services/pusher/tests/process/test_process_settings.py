"""Settings that reach what they are for, in a real process."""

import asyncio
import time

import pytest

from audiobus import Bus, Hints
from audiobus.keys import GROUP
from tapedeck_testing.draining.pusher_process import STARTS_WITHIN_S, drained


@pytest.mark.parametrize(("mark", "warns"), [("0.3", True), ("0.8", False)])
async def test_the_mark_of_memory_is_the_one_that_was_set(
    mark, warns, redis_process, new_pusher, new_device, eventually
):
    async with Bus(redis_process.url) as bus:
        fields = await bus.client.info("memory")
        # Half of it is taken: between the two marks.
        await bus.command("CONFIG", "SET", "maxmemory", 2 * fields["used_memory"])
        pusher = new_pusher(
            TAPEDECK_REDIS_URL=redis_process.url,
            TAPEDECK_REDIS_PREFIX=bus.keys.prefix,
            TAPEDECK_REDIS_HIGH_WATER=mark,
        )
        await pusher.start()

        async def says() -> str:
            _, text = await asyncio.to_thread(pusher.get, "/readyz?verbose=1")
            return text

        async def looked() -> bool:
            return "redis memory" in await says()

        await eventually(looked, "it looks at the memory", STARTS_WITHIN_S)
        assert ("[!]redis memory" in await says()) is warns


async def test_two_pushers_drain_all_partitions_of_a_single_redis(
    redis_url, prefix, new_pusher, new_device, eventually, clock
):
    clock.ms = time.time_ns() // 1_000_000
    async with Bus(redis_url, prefix=prefix, partitions=4) as bus:
        devices = [new_device(bus=bus, conversation=f"c{number}") for number in range(12)]
        assert {bus.keys.partition(device.conversation) for device in devices} == {0, 1, 2, 3}
        for device in devices:
            await device.open()
            await device.say(3)
            await bus.ask(device.conversation, "end")
            await Hints(bus).ready(device.conversation, "end")
        for number in (1, 2):
            await new_pusher(f"pusher-{number}", TAPEDECK_REDIS_PARTITIONS="4").start()
        for device in devices:
            await eventually(drained(bus, device.conversation), "it is stored", STARTS_WITHIN_S)
        for partition in range(4):
            # By its hints: not because a walk has found what nobody looked at.
            [group] = await bus.client.xinfo_groups(bus.keys.ready(partition))
            assert group["name"] == GROUP.encode()
            assert group["last-delivered-id"] != b"0-0"
