"""A turn that is broken off: what it ends with is nobody's defect."""

import asyncio
import gc

from audiobus import operations
from audiobus.errors import BusUnavailableError
from storage_api.operations.runner import Runner


async def test_what_fails_while_a_turn_is_broken_off_is_not_told_as_a_defect(one_bus):
    assert await operations.begin(one_bus, "op-1", "count", "user-1", b"{}")
    began, told = asyncio.Event(), []

    async def count(_turn):
        try:
            began.set()
            await asyncio.sleep(3_600)
        finally:
            raise BusUnavailableError("release: Connection closed by server.")

    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context))
    runner = Runner(one_bus, {"count": count})
    [taken] = await runner.take_due()
    carrying = asyncio.create_task(runner.carry_out(taken))
    await began.wait()
    carrying.cancel()
    await asyncio.wait([carrying])
    del carrying  # it remembers by what it was ended
    gc.collect()
    assert not told
