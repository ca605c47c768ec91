"""An HTTP answer whose body is made as it is sent: headers first, then bytes, as long as the client is there and takes them.

Owns what Starlette's streaming response leaves open: the source is closed at once when the client goes, or takes nothing more (`stalled_clients`),
and an answer that cannot be ended properly is broken off (the server then closes the connection, or resets the stream, without the end that
the headers promised), logged once, counted.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractContextManager, aclosing, nullcontext
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from audiocodec.errors import CodecError
from audiostore.errors import AudiostoreError
from servicekit.problem import ProblemError
from storage_api.client_watch import gone
from storage_api.errors import StalledClientError, StorageApiError, log_text
from storage_api.patience import begin_answer

log = logging.getLogger(__name__)

TURN_BYTES: Final = 1024 * 1024
"""After so much others have their turn. Nothing else need be waited for: silence is there at once, a client that has left takes all of it."""


class StreamedResponse(Response):
    """Streams what `body()` makes. `held` is given back when the answer is over, however it ends."""

    def __init__(
        self,
        body: Callable[[], AsyncGenerator[bytes]],
        *,
        headers: Mapping[str, str],
        media_type: str,
        status: int = 200,
        held: AbstractContextManager[object] | None = None,
        on_broken: Callable[[], None],
    ) -> None:
        self.status_code = status
        self.media_type = media_type
        self.background = None
        self.body = b""
        self.init_headers(headers)
        self._make = body
        self._held = held or nullcontext()
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
            async with asyncio.TaskGroup() as tasks:
                streaming = tasks.create_task(self._answer(scope["method"], send), name="answer")
                watching = tasks.create_task(_end_when_gone(receive, streaming), name="client watch")
                streaming.add_done_callback(lambda _: watching.cancel())

    async def _answer(self, method: str, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        try:
            await send(start)
            begin_answer()
            if method != "HEAD":
                sent = 0
                async with aclosing(self._make()) as blocks:
                    async for block in blocks:
                        await send({"type": "http.response.body", "body": block, "more_body": True})
                        sent += len(block)
                        if sent >= TURN_BYTES:
                            await asyncio.sleep(0)
                            sent = 0
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except StalledClientError:
            return  # told already
        except (StorageApiError, AudiostoreError, CodecError, ProblemError) as error:
            # No end of body is sent: the client sees a broken answer, never a short one that looks whole.
            log.error("an answer broke off", extra={"reason": log_text(error)})  # noqa: TRY400 - the text says it all
            self._on_broken()


async def _end_when_gone(receive: Receive, streaming: asyncio.Task[None]) -> None:
    await gone(receive)
    streaming.cancel()
