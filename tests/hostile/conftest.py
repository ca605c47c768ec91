"""One listen process for all hostile clients, and its neighbours, whose acks must keep coming."""

import pytest
import pytest_asyncio

from tapedeck_testing.hostile.neighbours import Neighbours
from tapedeck_testing.hostile.server import Server
from tapedeck_testing.hostile.verdict import Bench


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def bench(tmp_path_factory: pytest.TempPathFactory):
    """A warm server with three well-behaved sockets; at the end all that they sent is acked, and the process lives."""
    server = Server("listen", tmp_path_factory.mktemp("hostile"))
    async with server, Neighbours(server, 3) as neighbours:
        await server.warm_up()
        yield Bench(server, neighbours)
        assert not server.process_ended, server.log()[-4000:]
        assert await neighbours.stop() == (0, [])
        defects = [line for line in server.log().splitlines() if '"ERROR"' in line or '"CRITICAL"' in line]
        assert defects == []
