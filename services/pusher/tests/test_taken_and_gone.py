"""A name that is taken, and then nothing lies there: the cut keeps its name, for what is there may only be out of sight."""

from audiostore.errors import AlreadyExistsError, NotFoundError


class OutOfSight:
    """A bucket that has the object, and for a while says of everything that it is not there."""

    def __init__(self, store):
        self._store = store
        self.hidden = True

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def put(self, name, data, **given):
        await self._store.put(name, data, **given)
        if self.hidden:
            raise AlreadyExistsError(f"{name}: the name is taken")

    async def head(self, name):
        if self.hidden:
            raise NotFoundError(f"{name}: no such object")
        return await self._store.head(name)


async def test_the_object_is_found_again_and_not_put_under_another_name(
    device, bus, memory_store, new_worker, packets_of, batches, clock
):
    store = OutOfSight(memory_store)
    await device.open()
    await device.say(5, end=True)
    await bus.ask(device.conversation, "finalize")
    worker = new_worker(store)
    await worker.drain(device.conversation)
    standing = (await bus.state(device.conversation)).cut
    assert standing is not None
    store.hidden = False
    clock.pass_s(600)
    await worker.drain(device.conversation)
    assert len(await batches(memory_store)) == 1
    assert await packets_of(memory_store) == device.sent
    assert (await bus.state(device.conversation)).waiting_samples == 0
