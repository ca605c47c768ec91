"""The lease is kept as long as the work takes, and given back."""

import asyncio

from pusher.lease import holding


async def test_a_long_put_keeps_the_lease(device, bus, memory_store, new_worker, eventually):
    await device.open()
    await device.say(5)
    await bus.ask(device.conversation, "end")
    go = asyncio.Event()

    class Slow:
        def __getattr__(self, name):
            return getattr(memory_store, name)

        async def put(self, *args, **kwargs):
            await go.wait()
            return await memory_store.put(*args, **kwargs)

    working = asyncio.create_task(new_worker(Slow(), lease_ms=900).drain(device.conversation))
    renewed = []

    async def renewed_twice() -> bool:
        left = await bus.command("PTTL", bus.keys.lease(device.conversation))
        if renewed and left > renewed[-1]:
            renewed.append(left)
            return len(renewed) > 3
        renewed[-1:] = [left]
        return False

    await eventually(renewed_twice, "the lease is renewed")
    assert not await bus.take_lease(device.conversation, "somebody else", 1000)
    go.set()
    await working
    assert await bus.take_lease(device.conversation, "somebody else", 1000)


async def test_a_lease_that_was_lost_is_not_given_back(bus, conversation):
    await bus.take_lease(conversation, "me", 1000)
    async with holding(bus, conversation, "me", 1000):
        await bus.release_lease(conversation, "me")
        await bus.take_lease(conversation, "somebody else", 60_000)
    assert not await bus.take_lease(conversation, "me", 1000)


async def test_a_cancellation_that_gets_lost_in_redis_py_holds_nobody_up(bus, conversation, eventually):
    class Deaf:
        """A bus whose commands swallow the first cancellation, as redis-py does while it connects or reads an answer."""

        def __init__(self):
            self.asked = 0
            self.swallowed = 0

        def __getattr__(self, name):
            return getattr(bus, name)

        async def take_lease(self, *args):
            self.asked += 1
            if self.swallowed == 0:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    self.swallowed += 1
            return await bus.take_lease(*args)

    deaf = Deaf()
    await bus.take_lease(conversation, "me", 300)
    async with asyncio.timeout(60), holding(deaf, conversation, "me", 300):
        await eventually(lambda: asyncio.sleep(0, deaf.asked > 0), "the lease is being renewed")
    assert deaf.swallowed == 1
    assert await bus.take_lease(conversation, "somebody else", 1000)
