"""An echo server on the very door and wire of `listen`, for the Autobahn test suite, which wants its messages back.

Run as `python -m tapedeck_testing.hostile.echo PORT`. Test code that looks inside: it is no part of what attacks a whole `listen`.
"""

import asyncio
import sys
from contextlib import suppress

import picows
import uvloop

from listen.door import Door, Doorway
from listen.handshake import Handshake
from listen.metrics import ListenMetrics
from listen.proxies import TrustedProxies
from listen.wire import Wire
from servicekit.metrics import Metrics

SWEEP_S = 1.0


class Echo:
    """A receiver that sends back what comes."""

    def __init__(self) -> None:
        self.wire: Wire | None = None
        self.failure: int | None = None
        """What the client broke before the wire was here."""

    def begin(self, wire: Wire) -> None:
        """The handshake is answered."""
        self.wire = wire
        if self.failure is not None:
            wire.close(self.failure)
        wire.resume()

    def binary(self, data: bytes) -> None:
        """A binary message."""
        self._send(picows.WSMsgType.BINARY, data)

    def text(self, text: str) -> None:
        """A text message."""
        self._send(picows.WSMsgType.TEXT, text.encode())

    def failed(self, code: int, reason: str) -> None:
        """The client broke the protocol."""
        del reason
        self.failure = code
        if self.wire is not None:
            self.wire.close(code)

    def gone(self) -> None:
        """The connection is over."""
        self.wire = None

    def _send(self, kind: picows.WSMsgType, payload: bytes) -> None:
        wire = self.wire
        if wire is not None and not wire.over and wire._ws is not None:
            wire._ws.send(kind, payload)


async def admit(door: Door, handshake: Handshake) -> None:
    """Everybody may come in."""
    del handshake
    echo = Echo()
    wire = door.accept(echo, None)
    if wire is not None:
        echo.begin(wire)


async def run(port: int) -> None:
    """Serves until killed."""
    doorway = Doorway(
        limit=1_000,
        proxies=TrustedProxies(),
        metrics=ListenMetrics(Metrics("listen", "echo")),
        admit=admit,
        take_http=lambda transport, _: transport.abort(),
    )
    loop = asyncio.get_running_loop()
    server = await loop.create_server(doorway, "127.0.0.1", port)
    async with server:
        while True:
            await asyncio.sleep(SWEEP_S)
            doorway.sweep(loop.time())


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        uvloop.run(run(int(sys.argv[1])))
