"""A client that leaves in the middle of silence, of which nothing need be waited for."""

import asyncio
from collections.abc import AsyncGenerator

from storage_api.pcm_rendering import silence
from storage_api.streamed_response import TURN_BYTES, StreamedResponse

AN_HOUR_BYTES = 115_200_000


async def a_quiet_hour() -> AsyncGenerator[bytes]:
    for quiet in silence(AN_HOUR_BYTES):
        yield quiet


async def test_who_leaves_in_silence_stops_the_work():
    """Else the rest of it, gigabytes for a day, is made at one go, and everybody else waits: a connection that has gone takes all at once."""
    left, sent = asyncio.Event(), 0

    async def receive() -> dict[str, object]:
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, object]) -> None:
        nonlocal sent
        body = message.get("body", b"")
        sent += len(body) if isinstance(body, bytes) else 0
        if sent == len(body):
            asyncio.get_running_loop().call_soon(left.set)

    answer = StreamedResponse(a_quiet_hour, headers={}, media_type="audio/wav", on_broken=lambda: None)
    await answer({"type": "http", "method": "GET"}, receive, send)
    assert sent <= 8 * TURN_BYTES
