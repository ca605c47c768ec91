"""The sockets' port: what listens there, and the order in which it starts and ends.

Owns the options of the listening socket and the sweep. Must not know what comes of a connection: that is the door's business.
"""

import asyncio
import resource
import select
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
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

TURNS: Final = 5
"""Of the event loop, until who was accepted stands at the door: a server that is closed before that forgets them."""


@asynccontextmanager
async def serving(
    bound: socket.socket, doorway: Doorway, http: HttpSide
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Takes connections on a bound socket while inside. Leave it when all sessions have ended.

    Yields what shuts the port: nobody new comes, and those who are here stay.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)  # accepted sockets inherit both
    _raise_open_files()
    server = await asyncio.get_running_loop().create_server(doorway, sock=bound, backlog=BACKLOG)
    sweeping = asyncio.create_task(_sweep(doorway), name="sweep")

    async def shut() -> None:
        await _accept_all(bound)
        server.close()

    try:
        yield shut
    finally:
        server.close()
        doorway.close()
        await http.close()
        await doorway.wait_closed()
        await end([sweeping])


async def _accept_all(listening: socket.socket) -> None:
    """Lets everybody in whom the kernel has connected: it resets those that wait when the socket is closed.

    Nobody more is let wait: who comes now tries again a second later (RFC 6298 §2), and is then given to another process that
    listens on this port (SO_REUSEPORT).
    """
    listening.listen(0)
    waiting = select.poll()
    waiting.register(listening, select.POLLIN)
    for _ in range(BACKLOG):  # somebody may always come
        if not waiting.poll(0):
            break
        await asyncio.sleep(0)
    for _ in range(TURNS):
        await asyncio.sleep(0)


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
