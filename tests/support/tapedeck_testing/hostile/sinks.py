"""What `listen` is compared with: bare servers that accept, swallow, and acknowledge every tenth message.

Run as `python -m tapedeck_testing.hostile.sinks KIND PORT ADMIN_PORT`, KIND being hypercorn, uvicorn (websockets-sansio) or picows,
each as its users get it, with its own limits set to 64 KiB and nothing of ours in between. The admin port answers `/readyz` and
`/metrics` as `listen` does.
"""

import asyncio
import json
import sys
from typing import Any, Final

import picows
import uvicorn
import uvloop
from hypercorn.asyncio import serve
from hypercorn.config import Config
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

MESSAGE_BYTES: Final = 64 * 1024
HEAD_BYTES: Final = 32 * 1024
ACK_EVERY: Final = 10
READY: Final = '{"type":"ready"}'


class Open:
    """How many sockets there are."""

    count = 0


class Taken:
    """What one socket has sent."""

    def __init__(self) -> None:
        self.offset = 0
        self._messages = 0

    def take(self, data: bytes) -> str | None:
        """Counts a message; answers an ack from time to time."""
        self.offset += len(data)
        self._messages += 1
        return None if self._messages % ACK_EVERY else self.ack()

    def ack(self) -> str:
        """An ack for all there is."""
        return f'{{"type":"ack","conversation_id":"sink","offset":{self.offset},"stored":0}}'


def answers(text: str) -> bool:
    """Whether a text asks for an ack: `finalize` and `close` do."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(message, dict) and message.get("type") in {"finalize", "close"}


async def swallow(websocket: WebSocket) -> None:
    """An ASGI app's whole life with one client."""
    offered = websocket.scope["subprotocols"]
    await websocket.accept(subprotocol="tapedeck.v1" if "tapedeck.v1" in offered else None)
    taken = Taken()
    Open.count += 1
    try:
        await websocket.send_text(READY)
        while (message := await websocket.receive())["type"] == "websocket.receive":
            data, text = message.get("bytes"), message.get("text")
            said = taken.take(data) if data is not None else taken.ack() if answers(text or "") else None
            if said is not None:
                await websocket.send_text(said)
    finally:
        Open.count -= 1


app = Starlette(routes=[WebSocketRoute("/v4/listen", swallow), WebSocketRoute("/v4/web/listen", swallow)])


async def on_hypercorn(port: int) -> None:
    """The server that `listen` used to stand on."""
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.websocket_max_message_size = MESSAGE_BYTES
    config.h11_max_incomplete_size = HEAD_BYTES
    await serve(app, config, shutdown_trigger=asyncio.Event().wait, mode="asgi")  # type: ignore[arg-type] # Event.wait answers True, the trigger is typed to answer nothing


async def on_uvicorn(port: int) -> None:
    """The cheapest ASGI server that was measured."""
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        ws="websockets-sansio",
        ws_max_size=MESSAGE_BYTES,
        h11_max_incomplete_event_size=HEAD_BYTES,
        lifespan="off",
        access_log=False,
        log_level="warning",
    )
    await uvicorn.Server(config).serve()


class PicowsSink(picows.WSListener):
    """The same on picows' own listener."""

    def __init__(self) -> None:
        super().__init__()
        self._taken = Taken()

    def on_ws_connected(self, transport: Any) -> None:
        """The handshake is done."""
        Open.count += 1
        transport.send(picows.WSMsgType.TEXT, READY.encode())

    def on_ws_disconnected(self, transport: Any) -> None:
        """The socket is gone."""
        Open.count -= 1

    def on_ws_frame(self, transport: Any, frame: Any) -> None:
        """A frame; fragments count as messages, for picows joins nothing."""
        said = None
        if frame.msg_type == picows.WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        elif frame.msg_type in {picows.WSMsgType.BINARY, picows.WSMsgType.CONTINUATION}:
            said = self._taken.take(frame.get_payload_as_bytes())
        elif frame.msg_type == picows.WSMsgType.TEXT and answers(
            frame.get_payload_as_bytes().decode("utf-8", "replace")
        ):
            said = self._taken.ack()
        if said is not None:
            transport.send(picows.WSMsgType.TEXT, said.encode())


async def on_picows(port: int) -> None:
    """The floor."""
    server = await picows.ws_create_server(
        lambda _: PicowsSink(), "127.0.0.1", port, max_frame_size=MESSAGE_BYTES, enable_auto_pong=True
    )
    await server.serve_forever()


async def admin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One request of the admin port."""
    await reader.readuntil(b"\r\n\r\n")
    body = (
        f"tapedeck_connections {Open.count}\ntapedeck_event_loop_tasks {len(asyncio.all_tasks())}\n".encode()
    )
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))
    await writer.drain()
    writer.close()


async def run(kind: str, port: int, admin_port: int) -> None:
    """Serves until killed."""
    server = await asyncio.start_server(admin, "127.0.0.1", admin_port)
    async with server, asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve_forever())
        tasks.create_task({"hypercorn": on_hypercorn, "uvicorn": on_uvicorn, "picows": on_picows}[kind](port))


if __name__ == "__main__":
    uvloop.run(run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
