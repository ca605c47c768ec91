"""`GET …/{cid}/waveform`: peaks of the recording, with what waits in Redis in it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from storage_api import wire
from storage_api.access import conversation_of
from storage_api.moments import rfc3339
from storage_api.parameters import Parameters
from storage_api.services import LIVE_HEADER, MISSING_HEADER, Services
from storage_api.waveforms.drawing import draw
from storage_api.waveforms.pixels import DEFAULT_SAMPLES_PER_PIXEL
from storage_api.wire_waveforms import START_HEADER, Waveform

T = TypeVar("T")

CLIENT_GONE = 499
"""What is counted where nobody waits for the answer any more; nothing is sent."""


async def waveform(request: Request) -> Response:
    """The answer."""
    services = Services.of(request)
    await services.access.allow(request, "audio:read")
    conversation = conversation_of(request)
    parameters = Parameters(request.query_params, ("samples_per_pixel", "start", "end"))
    each = parameters.samples_per_pixel() or DEFAULT_SAMPLES_PER_PIXEL
    start_48k, end_48k = parameters.window()
    with services.downloads.slot():
        drawn = await _while_there(request, draw(services, conversation, each, start_48k, end_48k))
    if drawn is None:
        return Response(status_code=CLIENT_GONE)
    form = drawn.pixels.form
    headers = {START_HEADER: rfc3339(drawn.pixels.start_48k), MISSING_HEADER: str(drawn.missing)}
    if not drawn.live_known:
        headers[LIVE_HEADER] = "unavailable"
    content = Waveform(
        channels=form.channels,
        sample_rate=form.sample_rate,
        samples_per_pixel=each,
        length=drawn.pixels.count,
        data=drawn.numbers,
    )
    return await services.workers.run(wire.json_response, content, headers)


async def _while_there(request: Request, work: Coroutine[Any, Any, T]) -> T | None:
    """What the work returns; it is stopped, and None returned, where the client goes away."""
    task = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait((task, watching), return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        for one in (task, watching):
            one.cancel()
        await asyncio.gather(task, watching, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
