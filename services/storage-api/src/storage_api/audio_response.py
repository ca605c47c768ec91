"""The HTTP answer that carries audio: headers first, then bytes as they are made, as long as the client is there.

Owns what Starlette's streaming response leaves open: the source is closed at once when the client goes, and an answer that cannot be
ended properly is broken off (the server then closes the connection, or resets the stream, without the end that the headers promised),
logged once, counted.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractContextManager, aclosing

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from audiocodec.errors import CodecError
from audiostore.errors import AudiostoreError
from servicekit.problem import ProblemError
from storage_api.errors import StorageApiError, log_text

log = logging.getLogger(__name__)


class AudioResponse(Response):
    """Streams what `body()` makes. `held` is given back when the answer is over, however it ends."""

    def __init__(
        self,
        body: Callable[[], AsyncGenerator[bytes]],
        *,
        status: int,
        headers: Mapping[str, str],
        media_type: str,
        held: AbstractContextManager[object],
        on_broken: Callable[[], None],
    ) -> None:
        self.status_code = status
        self.media_type = media_type
        self.background = None
        self.body = b""
        self.init_headers(headers)
        self._make = body
        self._held = held
        self._on_broken = on_broken

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        """The headers as they are given: the length is known to whoever gives them, or not at all."""
        given = {**(headers or {}), "Content-Type": self.media_type or ""}
        self.raw_headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in given.items()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The answer to one request; for HEAD without its body."""
        with self._held:
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            if scope["method"] == "HEAD":
                await send({"type": "http.response.body", "body": b""})
                return
            async with asyncio.TaskGroup() as tasks:
                streaming = tasks.create_task(self._stream(send), name="audio")
                watching = tasks.create_task(_gone(receive, streaming), name="client watch")
                streaming.add_done_callback(lambda _: watching.cancel())

    async def _stream(self, send: Send) -> None:
        try:
            async with aclosing(self._make()) as blocks:
                async for block in blocks:
                    await send({"type": "http.response.body", "body": block, "more_body": True})
        except (StorageApiError, AudiostoreError, CodecError, ProblemError) as error:
            # No end of body is sent: the client sees a broken answer, never a short one that looks whole.
            log.error("an audio answer broke off", extra={"reason": log_text(error)})  # noqa: TRY400 - the text says it all
            self._on_broken()
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive, streaming: asyncio.Task[None]) -> None:
    """Stops the answer when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
    streaming.cancel()
