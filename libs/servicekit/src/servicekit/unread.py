"""Request bodies that an app does not read to their end.

Hypercorn 0.18 cannot stand them, and anybody can send them: it gives each request a queue of 10 messages and puts `http.disconnect` into it at the
end of the response. Where an app answers (401, 413) while a longer body waits unread, that put never returns: task and socket are lost for good.
What comes after the end of the response over HTTP/2 is `gone_streams`'.

This wrapper reads on and throws away while the end of the response is being sent.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class UnreadBodies:
    """The ASGI app that it wraps, safe against bodies which that app leaves unread."""

    def __init__(self, app: Callable[[Any, Any, Any], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """One request, lifespan or WebSocket; only requests that may have a body are touched."""
        if scope["type"] != "http" or not _may_have_body(scope):
            await self._app(scope, receive, send)
            return

        async def send_and_drain(message: Message) -> None:
            if message["type"] != "http.response.body" or message.get("more_body", False):
                await send(message)
                return
            draining = asyncio.create_task(_drain(receive), name="unread body")
            try:
                await send(message)
            finally:
                draining.cancel()
                await asyncio.wait([draining])

        try:
            await self._app(scope, receive, send_and_drain)
        finally:
            # After an app that broke off, the server puts its message, and the connection's reader what it holds, with
            # nobody to take them. Two free places are enough: after the first the stream counts as closed. Nothing can fill
            # them before, because nothing is awaited between here and there.
            while _take_one(receive):
                pass


def _may_have_body(scope: MutableMapping[str, Any]) -> bool:
    """HTTP/1 announces a body in a header (RFC 9112 §6); HTTP/2 need not."""
    return not scope["http_version"].startswith("1") or any(
        name in {b"content-length", b"transfer-encoding"} for name, _ in scope["headers"]
    )


async def _drain(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _take_one(receive: Receive) -> bool:
    """Receive a message and throw it away, if one lies there; never waits. Whether there was one."""
    waiting = receive().__await__()
    try:
        next(waiting)
    except StopIteration:
        return True
    waiting.close()
    return False
