"""`GET …/{cid}/chunks`: every object and every entry that waits, in order of time, and the gaps, page by page.

Owns how much of the bucket is listed for a page. The first page takes the whole conversation, for only all names tell whether they sort as
their times do; it leaves in its token what spares the next ones that.
"""

import asyncio
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from audiobus import Conversation
from storage_api import wire
from storage_api.access import conversation_of
from storage_api.chunk_page import Page, Place, Wanted, page_of, page_of_all
from storage_api.conversations import live_headers
from storage_api.listing import Stretch
from storage_api.page_tokens import read_page_token, write_page_token
from storage_api.parameters import Parameters
from storage_api.recording import Recording
from storage_api.services import Services
from storage_api.watershed import FIRST_MS, LONGEST_MS, is_watershed, sorts_by_time

AHEAD: Final = 2
"""Objects beside a page's own that are listed with it: the one at its place, and the one with which the next page begins."""
FURTHER: Final = 8
"""So many times as much is listed where that did not do: a gap, or what cannot be read, reaches beyond the page."""


async def list_chunks(request: Request) -> Response:
    """A page of the chunks."""
    services = Services.of(request)
    await services.access.allow(request, "audio:read")
    conversation = conversation_of(request)
    parameters = Parameters(request.query_params, ("start", "end", "page_size", "page_token"))
    size, (start, end), token = parameters.page_size(), parameters.window(), parameters.text("page_token")
    bound = {"start": str(start), "end": str(end)}
    place = read_page_token(request.scope["path"], bound, token, Place) if token else None
    wanted = Wanted((start, end), place, size)
    recording, page = await find_page(services, conversation, wanted)
    following = write_page_token(request.scope["path"], bound, page.place) if page.place else None
    body = wire.Chunks(chunks=page.chunks, gaps=page.gaps, next_page_token=following)
    return wire.json_response(body, live_headers(recording))


async def find_page(services: Services, conversation: Conversation, wanted: Wanted) -> tuple[Recording, Page]:
    """The page, and the conversation or the part of it that it was found in. ProblemError as with `Recordings.find`."""
    found = await _from_part(services, conversation, wanted)
    if found is not None:
        return found
    recording = await services.recordings.listed(conversation)
    protection = await services.protection_of(recording) or "standard"
    return recording, await asyncio.to_thread(page_of_all, recording, protection, wanted)


async def _from_part(
    services: Services, conversation: Conversation, wanted: Wanted
) -> tuple[Recording, Page] | None:
    """The page out of the part of the conversation that it needs; None where that cannot be told, or goes on for long."""
    place = wanted.after
    if place is None or place.watershed_48k is None:
        return None
    # In a gap the watershed is where that ends; what comes into it since begins at the place already.
    from_ms = max(FIRST_MS, min(place.start_ms, place.watershed_48k // 48) - LONGEST_MS)
    for count in (wanted.size + AHEAD, FURTHER * (wanted.size + AHEAD)):
        part = await services.recordings.part(
            conversation, Stretch(from_ms, place.start_ms, count, place.pace_us)
        )
        # What was put or deleted since the token was given may have changed that.
        if not (
            await asyncio.to_thread(sorts_by_time, part)
            and await asyncio.to_thread(is_watershed, part, place.watershed_48k)
        ):
            return None
        protection = await services.protection_of(part) or "standard"
        page = await asyncio.to_thread(page_of, part, protection, wanted)
        if page is not None:
            return part, page
    return None
