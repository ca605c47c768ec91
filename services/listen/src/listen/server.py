"""The sockets' port: what listens there, and the order in which it starts and ends.

Owns the options of the listening socket and the sweep. Must not know what comes of a connection: that is the door's business.
"""

import asyncio
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from listen.door import Doorway
from listen.heap import Heap
from listen.http_side import HttpSide
from servicekit.bind import BACKLOG
from servicekit.ending import end

SWEEP_S: Final = 0.5
SEND_BUFFER_BYTES: Final = 64 * 1024
"""In the kernel, for each socket: acks are small, and a client that reads none must not cost megabytes."""
UNACKNOWLEDGED_MS: Final = 90_000
"""After this the kernel gives up a peer that acknowledges nothing; its own default is a quarter of an hour."""


@asynccontextmanager
async def serving(bound: socket.socket, doorway: Doorway, http: HttpSide) -> AsyncIterator[None]:
    """Takes connections on a bound socket while inside. Leave it when all sessions have ended."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)  # accepted sockets inherit both
    _raise_open_files()
    server = await asyncio.get_running_loop().create_server(doorway, sock=bound, backlog=BACKLOG)
    sweeping = asyncio.create_task(_sweep(doorway), name="sweep")
    try:
        yield
    finally:
        server.close()
        doorway.close()
        await http.close()
        await doorway.wait_closed()
        await end([sweeping])


async def _sweep(doorway: Doorway) -> None:
    loop = asyncio.get_running_loop()
    heap = Heap()
    while True:
        await asyncio.sleep(SWEEP_S)
        doorway.sweep(loop.time())
        heap.watch(len(doorway.wires))


def _raise_open_files() -> None:
    """A socket is a file: as many as the system allows this process, not only as many as a shell does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
