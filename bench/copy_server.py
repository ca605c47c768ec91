"""The least that a download can be: objects read through the store, and sent as they are.

Run as `python -m bench.copy_server PORT STORE_URL`; `GET /NAMES/…` sends all objects whose names begin with what follows, and `GET /bytes/SIZE` so many
zeros out of memory: what sending alone takes. The same server, the same settings and the same store library that storage-api stands on; it looks at
nothing. Owns no measuring.
"""

import asyncio
import sys
from collections.abc import AsyncIterator

import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from audiostore import open_store
from audiostore.store import Store
from servicekit.bind import Bind, bind_socket
from servicekit.http import serve
from servicekit.stop import Stop

AT_ONCE = 16
SEND_BYTES = 64 * 1024


async def run(port: int, url: str) -> None:
    """Serve until the process is ended."""
    store = open_store(url)

    async def copied(request: Request) -> StreamingResponse:
        return StreamingResponse(_bytes(store, request.path_params["prefix"]))

    async def zeros(request: Request) -> StreamingResponse:
        size = request.path_params["size"]
        return StreamingResponse(_zeros(size), headers={"Content-Length": str(size)})

    app = Starlette(routes=[Route("/bytes/{size:int}", zeros), Route("/{prefix:path}", copied)])
    await serve(app, bind_socket(Bind("127.0.0.1", port)), Stop(1.0))


async def _bytes(store: Store, prefix: str) -> AsyncIterator[bytes]:
    names = [info.name async for info in store.list(prefix)]
    waiting = [asyncio.create_task(store.get(name)) for name in names[:AT_ONCE]]
    for number in range(len(names)):
        data = await waiting.pop(0)
        if number + AT_ONCE < len(names):
            waiting.append(asyncio.create_task(store.get(names[number + AT_ONCE])))
        for at in range(0, len(data), SEND_BYTES):
            yield data[at : at + SEND_BYTES]


async def _zeros(size: int) -> AsyncIterator[bytes]:
    block = bytes(SEND_BYTES)
    for at in range(0, size, SEND_BYTES):
        yield block[: size - at]


if __name__ == "__main__":
    uvloop.run(run(int(sys.argv[1]), sys.argv[2]))
