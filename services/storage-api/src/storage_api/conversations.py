"""`GET /v1/users/{uid}/conversations` and `GET …/{cid}`."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from audiobus import Bus, Conversation
from audiobus.errors import BusUnavailableError
from servicekit.problem import ProblemError
from storage_api import wire
from storage_api.access import conversation_of
from storage_api.catalogue import Catalogue, Entry, Place, read_catalogue
from storage_api.listing import LISTINGS
from storage_api.merging.went import Merges, merges_of, went_since
from storage_api.moments import rfc3339_ms
from storage_api.page_tokens import read_page_token, write_page_token
from storage_api.parameters import Parameters, path_id
from storage_api.recording import Recording, live_unavailable
from storage_api.services import LIVE_HEADER, Services
from storage_api.summary import summary
from storage_api.wall_clock import now_ms

EXACT_OBJECTS: Final = 2000
"""So many objects a page are opened for exact seconds, beside those that were looked at before. Of a conversation with more names must do."""
KNOWN_OBJECTS: Final = 50_000
"""So many objects a page are laid out, opened or known."""
LOOKS_AT_ONCE: Final = 8


async def one_conversation(request: Request) -> Response:
    """One conversation, exactly."""
    services = Services.of(request)
    await services.access.allow(request, "audio:read")
    conversation = conversation_of(request)
    recording = await services.recordings.find(conversation)
    protection = await services.protection_of(recording) or "standard"
    told = await asyncio.to_thread(summary, recording, protection, now_ms())
    return wire.json_response(told, live_headers(recording))


async def list_conversations(request: Request) -> Response:
    """A page of the user's conversations, newest first."""
    services = Services.of(request)
    await services.access.allow(request, "audio:read")
    uid = path_id("the user id", request.path_params["uid"])
    parameters = Parameters(request.query_params, ("page_size", "page_token", "live"))
    size, only_live, token = parameters.page_size(), parameters.flag("live"), parameters.text("page_token")
    bound = {"live": str(only_live)}
    place = read_page_token(request.scope["path"], bound, token, Place) if token else None
    catalogue, page = await _listed(services, uid, size, place, only_live=only_live)
    following = None
    if page.last is not None:
        following = write_page_token(request.scope["path"], bound, page.last)
    headers = {} if catalogue.live_known else {LIVE_HEADER: "unavailable"}
    return wire.json_response(wire.Conversations(conversations=page.rows, next_page_token=following), headers)


@dataclass(frozen=True, slots=True)
class _Page:
    """Of a list."""

    rows: list[wire.Conversation]
    last: Place | None
    """Where the next one goes on; None where this is the last."""


async def _listed(
    services: Services, uid: str, size: int, place: Place | None, *, only_live: bool | None
) -> tuple[Catalogue, _Page]:
    """The page after this place, and what it was taken from: again where a conversation went into another one meanwhile, of which it may have neither."""
    left = LISTINGS
    while True:
        left -= 1
        before: Merges | None = None
        with suppress(BusUnavailableError):  # nobody can tell; nor is Redis asked for more
            before = await merges_of(services.bus, uid)
        catalogue = await read_catalogue(
            services.bus, services.bucket, uid, services.recordings.letters, asked=before is not None
        )
        page = await _page(services, uid, catalogue, size, place, only_live=only_live)
        if not (left and before and catalogue.live_known and await _went(services.bus, uid, before)):
            return catalogue, page


async def _went(bus: Bus, uid: str, before: Merges) -> bool:
    try:
        return await went_since(bus, uid, before)
    except BusUnavailableError:
        return False  # as far as anybody knows


async def _page(
    services: Services,
    uid: str,
    catalogue: Catalogue,
    size: int,
    place: Place | None,
    *,
    only_live: bool | None,
) -> _Page:
    """ProblemError 503 `live_unavailable`."""
    if not catalogue.live_known and not catalogue.entries:
        raise live_unavailable()
    # A Redis that hangs is waited for once, not for every row.
    asked = catalogue.live_known
    protection = (await services.protection(uid) if asked else None) or "standard"
    rows: list[wire.Conversation] = []
    last: Entry | None = None
    room = _Room()
    remaining = catalogue.after(place)
    while remaining and len(rows) < size:
        group = remaining[: min(LOOKS_AT_ONCE, size - len(rows))]
        remaining = remaining[len(group) :]
        exact = [room.takes(entry) for entry in group]
        found = await asyncio.gather(
            *(
                _look(services, uid, entry, protection, asked=asked)
                if looked
                else _by_name(services, uid, entry, protection, asked=asked)
                for entry, looked in zip(group, exact, strict=True)
            )
        )
        rows += [row for row in found if row is not None and only_live in (None, row.live)]
        last = group[-1]
    return _Page(rows, Place(last.start_ms, last.conversation_id) if remaining and last is not None else None)


class _Room:
    """What a page may look at yet."""

    def __init__(self) -> None:
        self._unknown = EXACT_OBJECTS
        self._objects = KNOWN_OBJECTS

    def takes(self, entry: Entry) -> bool:
        """Whether the conversation is looked at; one that is not takes nothing from those that follow. What waits of one no name tells."""
        if not entry.buffered and (entry.unknown > self._unknown or entry.objects > self._objects):
            return False
        self._unknown = max(0, self._unknown - entry.unknown)
        self._objects = max(0, self._objects - entry.objects)
        return True


def live_headers(recording: Recording) -> dict[str, str]:
    """What an answer says where the live tail could not be read."""
    return {} if recording.tail is not None else {LIVE_HEADER: "unavailable"}


async def _look(
    services: Services, uid: str, entry: Entry, protection: wire.Protection, *, asked: bool
) -> wire.Conversation | None:
    """The conversation exactly; None where it is deleted, or gone since it was listed. `asked`: whether Redis is."""
    conversation = Conversation(uid, entry.conversation_id)
    try:
        look = services.recordings.look if asked else services.recordings.look_without_redis
        recording = await look(conversation)
    except ProblemError as error:
        if error.status == 404:
            return None
        raise
    return None if recording.empty else await asyncio.to_thread(summary, recording, protection, now_ms())


async def _by_name(
    services: Services, uid: str, entry: Entry, protection: wire.Protection, *, asked: bool
) -> wire.Conversation | None:
    """The conversation as the names of its objects tell it; None where it is deleted. `asked`: whether Redis is."""
    with suppress(BusUnavailableError):  # the answer says already that Redis is away
        if asked and await services.bus.tombstone(Conversation(uid, entry.conversation_id)):
            return None
    return wire.Conversation(
        conversation_id=entry.conversation_id,
        start=rfc3339_ms(entry.start_ms),
        end=rfc3339_ms(entry.end_ms),
        recorded_seconds=entry.named_ms / 1000,
        stored_seconds=entry.named_ms / 1000,
        bytes=entry.bytes,
        chunks=entry.objects,
        protection="enhanced" if entry.sealed else protection,
        live=entry.buffered,
    )
