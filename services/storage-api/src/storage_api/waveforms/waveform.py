"""`GET …/{cid}/waveform`: peaks of the recording, with what waits in Redis in it."""

from collections.abc import AsyncGenerator

from starlette.requests import Request
from starlette.responses import Response

from storage_api.access import conversation_of
from storage_api.client_watch import CLIENT_GONE, while_there
from storage_api.moments import rfc3339
from storage_api.parameters import Parameters
from storage_api.services import LIVE_HEADER, MISSING_HEADER, START_HEADER, Services
from storage_api.streamed_response import StreamedResponse
from storage_api.waveforms.drawing import draw
from storage_api.waveforms.pixels import DEFAULT_SAMPLES_PER_PIXEL
from storage_api.waveforms.waveform_text import WaveformText


async def waveform(request: Request) -> Response:
    """The answer."""
    services = Services.of(request)
    actor = await services.access.allow(request, "audio:read")
    conversation = conversation_of(request)
    parameters = Parameters(request.query_params, ("samples_per_pixel", "start", "end"))
    each = parameters.samples_per_pixel() or DEFAULT_SAMPLES_PER_PIXEL
    start_48k, end_48k = parameters.window()
    with services.downloads.place(actor, conversation.uid):
        drawn = await while_there(request, draw(services, conversation, each, start_48k, end_48k))
    if drawn is None:
        return Response(status_code=CLIENT_GONE)
    text = WaveformText(drawn.pixels, each, drawn.numbers)
    headers = {
        "Cache-Control": "private, no-store",
        "Content-Length": str(await services.workers.run(text.size)),
        START_HEADER: rfc3339(drawn.pixels.start_48k),
        MISSING_HEADER: str(drawn.missing),
    }
    if not drawn.live_known:
        headers[LIVE_HEADER] = "unavailable"

    async def body() -> AsyncGenerator[bytes]:
        pieces = text.pieces()
        while piece := await services.workers.run(next, pieces, b""):
            yield piece

    # Its place among the downloads is given back: what is left to do is to send it.
    return StreamedResponse(
        body, headers=headers, media_type="application/json", on_broken=services.metrics.broken.inc
    )
