"""The baseline of `listen`: a Starlette app that accepts a WebSocket, receives, and does nothing.

Run as `python -m bench.sink SERVER PORT`, SERVER being uvicorn (`websockets-sansio`, uvloop) or hypercorn (uvloop, as `listen` is
served). It says `ready` once, so that the same load generator can drive it.
"""

import asyncio
import sys

import uvicorn
import uvloop
from hypercorn.asyncio import serve
from hypercorn.config import Config
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

READY = '{"type":"ready"}'


async def swallow(websocket: WebSocket) -> None:
    """Receive until the client has gone."""
    await websocket.accept(subprotocol="tapedeck.v1")
    await websocket.send_text(READY)
    async for _ in websocket.iter_bytes():
        pass


app = Starlette(routes=[WebSocketRoute("/v4/listen", swallow)])


def on_uvicorn(port: int) -> None:
    """The cheapest ASGI server that was measured."""
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        ws="websockets-sansio",
        lifespan="off",
        access_log=False,
        log_level="warning",
    )


def on_hypercorn(port: int) -> None:
    """The same server that `listen` stands on."""
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    uvloop.run(serve(app, config, shutdown_trigger=asyncio.Event().wait, mode="asgi"))  # type: ignore[arg-type] # Event.wait answers True, the trigger is typed to answer nothing


if __name__ == "__main__":
    {"uvicorn": on_uvicorn, "hypercorn": on_hypercorn}[sys.argv[1]](int(sys.argv[2]))
