"""`GET`, `HEAD …/{cid}/audio`: the recording as one file, with what waits in Redis in it."""

import asyncio
from contextlib import ExitStack
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from audiobus import Conversation
from servicekit.problem import ProblemError
from storage_api.access import conversation_of
from storage_api.audio_body import AudioBody, ogg_body, pcm_body
from storage_api.audio_format import MEDIA_TYPES
from storage_api.audio_headers import audio_headers, disposition, pcm_form
from storage_api.audio_planning import planned
from storage_api.audio_query import AudioQuery
from storage_api.client_watch import CLIENT_GONE, while_there
from storage_api.errors import SourceGoneError
from storage_api.loading import Loader
from storage_api.moments import rfc3339
from storage_api.services import START_HEADER, Services
from storage_api.streamed_response import StreamedResponse
from storage_api.validators import is_known, listed, still_stands

MAX_LOOKS: Final = 4
"""How often a conversation is looked at because audio was not where it had been found, before the client is asked to come back."""


async def audio(request: Request) -> Response:
    """The answer, once it is known what will be in it."""
    services = Services.of(request)
    actor = await services.access.allow(request, "audio:read")
    conversation = conversation_of(request)
    query = AudioQuery.of(request)
    with ExitStack() as held:
        held.enter_context(services.downloads.place(actor, conversation.uid))
        body = await while_there(request, _body(request, services, conversation, query))
        if body is None:
            return Response(status_code=CLIENT_GONE)
        if body.make is None:
            return Response(status_code=body.status, headers=dict(body.headers))
        return StreamedResponse(
            body.make,
            status=body.status,
            headers=body.headers,
            media_type=MEDIA_TYPES[query.format],
            held=held.pop_all(),
            on_broken=services.metrics.broken.inc,
        )


async def _body(
    request: Request, services: Services, conversation: Conversation, query: AudioQuery
) -> AudioBody:
    """What will be answered. What moved before the first byte is looked for again: what the tag says of the bytes must hold."""
    for look in range(MAX_LOOKS):
        try:
            return await _looked(request, services, conversation, query)
        except SourceGoneError as error:
            if look + 1 == MAX_LOOKS:
                detail = "audio moved while it was looked for; try again"
                raise ProblemError(503, "unavailable", detail, headers={"Retry-After": "1"}) from error
    raise AssertionError("unreachable")


async def _looked(
    request: Request, services: Services, conversation: Conversation, query: AudioQuery
) -> AudioBody:
    """The same, of the conversation as it is now. SourceGoneError."""
    workers, encoding = services.workers, services.encoding
    recording, plan = await planned(services, await services.recordings.find(conversation), query)
    clear = await services.protection_of(recording) == "standard"
    common = await asyncio.to_thread(audio_headers, recording, query, plan, encoding, clear=clear)
    tag = common["ETag"]
    if not still_stands(listed(request.headers.getlist("if-match")), tag):
        raise ProblemError(412, "precondition_failed", "the audio is no longer that of `If-Match`")
    if is_known(listed(request.headers.getlist("if-none-match")), tag):
        return AudioBody(None, 304, common)
    loader = Loader(services.recordings, recording, workers, packed=True, whole_preroll=query.decoded)
    if query.format == "ogg":
        body = await ogg_body(request, tag, recording, plan, encoding, loader, workers)
    else:
        form = pcm_form(recording, query, plan)
        body = pcm_body(request, tag, plan, form, loader, workers, wav=query.format == "wav")
    named = {
        "Content-Disposition": disposition(recording, query, plan),
        START_HEADER: rfc3339(plan.start_48k),
    }
    return AudioBody(body.make, body.status, {**common, **named, **body.headers})
