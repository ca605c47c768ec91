"""The baselines of `listen`: servers that accept a WebSocket, receive, and do nothing.

Run as `python -m bench.sink SERVER PORT`. `SERVERS` names them: one Starlette app under several ASGI servers, and picows without
any. Each says `ready` once, so that the same load generator can drive it. `picows-acks` answers every 50th message with an ack of what came,
at once: what an ack's way there and back costs where nothing is stored.
"""

import asyncio
import sys
from collections.abc import Callable

import uvicorn
import uvloop
from hypercorn.asyncio import serve
from hypercorn.config import Config
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

HOST = "127.0.0.1"
READY = '{"type":"ready"}'
V1 = "tapedeck.v1"
ACK_MESSAGES = 50
READ_BUFFER_BYTES = 2048
"""As `listen` has it; picows' own default is 16 KiB a socket."""


async def swallow(websocket: WebSocket) -> None:
    """Receive until the client has gone."""
    await websocket.accept(subprotocol=V1)
    await websocket.send_text(READY)
    async for _ in websocket.iter_bytes():
        pass


app = Starlette(routes=[WebSocketRoute("/v4/listen", swallow)])


class Swallow(WSListener):
    """The same without Starlette."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Say `ready`."""
        transport.send(WSMsgType.TEXT, READY.encode())

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:  # noqa: ARG002 - picows gives both
        """Take the message as bytes, as an app would."""
        frame.get_payload_as_bytes()


class Acknowledge(Swallow):
    """Acks every 50th message."""

    def __init__(self) -> None:
        self._messages = self._bytes = 0

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Count, and ack."""
        self._messages += 1
        self._bytes += len(frame.get_payload_as_bytes())
        if self._messages % ACK_MESSAGES == 0:
            text = f'{{"type":"ack","conversation_id":"","offset":{self._bytes},"stored":0}}'
            transport.send(WSMsgType.TEXT, text.encode())


def on_uvicorn(port: int, implementation: str) -> None:
    """uvicorn, with one of its WebSocket implementations."""
    uvicorn.run(
        app,
        host=HOST,
        port=port,
        loop="uvloop",
        ws=implementation,
        lifespan="off",
        access_log=False,
        log_level="warning",
    )


def on_hypercorn(port: int, run: Callable[..., object]) -> None:
    """Hypercorn, on one event loop or the other."""
    config = Config()
    config.bind = [f"{HOST}:{port}"]
    run(serve(app, config, shutdown_trigger=asyncio.Event().wait, mode="asgi"))  # type: ignore[arg-type] # Event.wait answers True, the trigger is typed to answer nothing


def on_picows(port: int, listener: type[Swallow]) -> None:
    """picows: no ASGI, no task a socket, a call a message. The floor."""

    def accept(_: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        return WSUpgradeResponseWithListener(
            WSUpgradeResponse.create_101_response({"Sec-WebSocket-Protocol": V1}), listener()
        )

    async def run() -> None:
        server = await ws_create_server(accept, HOST, port, read_buffer_init_size=READ_BUFFER_BYTES)
        await server.serve_forever()

    uvloop.run(run())


SERVERS: dict[str, Callable[[int], None]] = {
    "uvicorn websockets-sansio": lambda port: on_uvicorn(port, "websockets-sansio"),
    "uvicorn websockets": lambda port: on_uvicorn(port, "websockets"),
    "hypercorn uvloop": lambda port: on_hypercorn(port, uvloop.run),
    "hypercorn asyncio": lambda port: on_hypercorn(port, asyncio.run),
    "picows": lambda port: on_picows(port, Swallow),
    "picows-acks": lambda port: on_picows(port, Acknowledge),
}

if __name__ == "__main__":
    SERVERS[sys.argv[1]](int(sys.argv[2]))
