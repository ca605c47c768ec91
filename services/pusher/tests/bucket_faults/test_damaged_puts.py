"""A real bucket that holds other bytes than were sent, because whoever put them could not take them away again."""

from audiobus.deletions import gone
from audiostore.errors import TransientStoreError

CONVERSATIONS = 4


class Garbles:
    """A store whose first puts arrive changed, with the metadata of what was sent, and whose answer then is lost."""

    def __init__(self, real) -> None:
        self._real = real
        self._left = CONVERSATIONS

    def __getattr__(self, name):
        return getattr(self._real, name)

    async def put(self, name, data, **given):
        if not self._left:
            return await self._real.put(name, data, **given)
        self._left -= 1
        await self._real.put(name, data[:-100] + bytes(100), **given)
        raise TransientStoreError("the reply was lost")


async def test_what_arrived_damaged_and_stayed_costs_nothing(
    *, spoiled, straight, serving, record, drained, packets_of, eventually, bus, hints
):
    devices = await record(CONVERSATIONS)
    async with serving(Garbles(spoiled)):
        await drained(devices, "everything is stored")
        given_up = {}
        for device in devices:
            given_up |= await gone(bus, device.conversation)
        assert len(given_up) == CONVERSATIONS

        async def swept() -> bool:
            for device in devices:
                await hints.ready(device.conversation, "due")
            there = [info.name async for info in straight.list("chunks/")]
            return not set(there) & set(given_up)

        await eventually(swept, "what was damaged is gone")
    for device in devices:
        assert await packets_of(straight, device.conversation) == device.sent
