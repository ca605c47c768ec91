"""A client that takes nothing of its answer any more loses it: nobody may hold memory, a task or a connection for ever.

Owns in which pieces the server is handed a body, and how long each may wait, for the answers of all routes. The answer is broken off visibly: the
server closes the connection, or resets the stream.
"""

import asyncio
import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from types import coroutine
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from storage_api.errors import StalledClientError

SEND_BYTES: Final = 64 * 1024
"""The server is handed no more at once: so much lies in memory for a client that does not read."""
STALLED_S: Final = 60.0
"""That a piece may wait for its client. A device on the worst line takes 64 KiB in that time; a player that is paused for longer asks for the
rest by a `Range`."""

log = logging.getLogger(__name__)


class StalledClients:
    """ASGI middleware: the app's `send` raises StalledClientError where the client takes nothing more, which ends here, too."""

    def __init__(self, app: ASGIApp, on_stalled: Callable[[], None]) -> None:
        self._app = app
        self._on_stalled = on_stalled

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; everything else passes."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def patient(message: Message) -> None:
            for piece in _pieces(message):
                await self._in_time(send, piece)

        # It is told; without the end of its body the client sees a broken answer.
        with suppress(StalledClientError):
            await self._app(scope, receive, patient)

    async def _in_time(self, send: Send, message: Message) -> None:
        """Sends it. StalledClientError: the client takes nothing, which is logged and counted."""
        sending = send(message).__await__()
        try:
            waits_for = next(sending)
        except StopIteration:
            return  # what a client takes at once needs no clock, which would cost a tenth of the sending
        try:
            async with asyncio.timeout(STALLED_S):
                await _rest(sending, waits_for)
        except TimeoutError as error:
            stalled = StalledClientError(f"its client took nothing for {STALLED_S:.0f} s")
            log.info("an answer broke off", extra={"reason": str(stalled)})
            self._on_stalled()
            raise stalled from error


@coroutine
def _rest(begun: Generator[Any, Any, None], waits_for: Any) -> Generator[Any, Any, None]:
    """The rest of something that was awaited up to where it waits for this."""
    try:
        while True:
            try:
                got = yield waits_for
            except BaseException as error:  # noqa: BLE001 - it is the other's to handle, cancelling above all
                waits_for = begun.throw(error)
            else:
                waits_for = begun.send(got)
    except StopIteration:
        return


def _pieces(message: Message) -> Iterator[Message]:
    body = message.get("body", b"") if message["type"] == "http.response.body" else b""
    if len(body) <= SEND_BYTES:
        yield message
        return
    for at in range(0, len(body), SEND_BYTES):
        more = message.get("more_body", False) or at + SEND_BYTES < len(body)
        yield {**message, "body": body[at : at + SEND_BYTES], "more_body": more}
