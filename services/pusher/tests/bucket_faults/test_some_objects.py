"""What befalls the objects of some conversations delays no other."""

import asyncio

from audiostore.errors import StoreConfigurationError, TransientStoreError

WITHIN_S = 60.0


class SomeHang:
    """A store in which the objects of some conversations hang, each time until it is given up."""

    def __init__(self, real, text, for_s) -> None:
        self._real, self._text, self._for_s = real, text, for_s
        self.hanging = 0
        self.tries = 0
        self.hangs = True

    def __getattr__(self, name):
        return getattr(self._real, name)

    async def put(self, name, *args, **kwargs):
        if not (self.hangs and self._text in name):
            return await self._real.put(name, *args, **kwargs)
        self.hanging += 1
        self.tries += 1
        try:
            async with asyncio.timeout(self._for_s):
                await asyncio.Event().wait()
        except TimeoutError as error:
            raise TransientStoreError("not done in time") from error
        finally:
            self.hanging -= 1


async def test_objects_that_hang_delay_no_other_conversation(
    *, memory_store, serving, record, drained, packets_of, eventually
):
    """More of them than there are slots: once they have failed they share half of the slots."""
    store = SomeHang(memory_store, "/hangs", 0.4)
    hanging = await record(10, "hangs", seconds=2)
    async with serving(store):

        async def all_failed_once():
            return store.tries >= 10

        await eventually(all_failed_once, "each has failed once", WITHIN_S)
        for wave in range(4):
            others = await record(6, f"wave{wave}-", seconds=2)
            await drained(others, "the others are stored")
            assert store.hanging <= 6
        store.hangs = False
        await drained(hanging, "those are stored too")
    for device in hanging:
        assert await packets_of(memory_store, device.conversation) == device.sent


async def test_objects_that_hang_at_their_first_try_take_no_slot_from_others(
    *, memory_store, serving, record, drained, monkeypatch
):
    """As many as there are slots, all of them hanging at once: nobody could know it of any of them."""
    monkeypatch.setattr("pusher.dispatch.HANGS_S", 0.2)
    store = SomeHang(memory_store, "/hangs", 30)
    await record(6, "hangs", seconds=2)
    async with serving(store):
        for wave in range(2):
            others = await record(4, f"wave{wave}-", seconds=2)
            await drained(others, "the others are stored")
        assert (store.hanging, store.tries) == (6, 6)


async def test_what_is_refused_for_one_object_pauses_nobody_for_long(
    *, memory_store, serving, record, drained, packets_of
):
    class OneRefused:
        refuses = True

        def __getattr__(self, name):
            return getattr(memory_store, name)

        async def put(self, name, *args, **kwargs):
            if self.refuses and "/refused0/" in name:
                raise StoreConfigurationError("403 for this name")
            return await memory_store.put(name, *args, **kwargs)

    store = OneRefused()
    [refused] = await record(1, "refused")
    async with serving(store):
        for wave in range(3):
            others = await record(4, f"wave{wave}-", seconds=1)
            await drained(others, "the others are stored")
        store.refuses = False
        await drained([refused], "this one too")
    assert await packets_of(memory_store, refused.conversation) == refused.sent
