"""A running system behind a relay before its own Redis, for stories told by hand."""

import pytest_asyncio

from tapedeck_testing.faults.relay import Relay
from tapedeck_testing.faults.rig import Rig


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(tmp_path_factory):
    """One listen process; every story has conversations of its own."""
    running = await Rig(
        tmp_path_factory.mktemp("rig"), listen_workers=1, environ={"TAPEDECK_CHUNK_MS": "200"}
    ).start()
    yield running
    await running.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def line(rig):
    """A relay before listen: the network of whoever connects through it."""
    relay = await Relay(*rig.address).start()
    yield relay
    await relay.stop()
