"""`POST …/{cid}:flush`: store what waits, now; answered when it is stored.

Owns asking and waiting. The pusher stores; what is asked for is noted in Redis, so a lost hint or a restart only delays it.
"""

import asyncio
import logging
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from audiobus import Asked, Conversation, EntryId
from audiostore.errors import StoreError
from servicekit.body import read_body
from servicekit.problem import ProblemError, request_id
from storage_api import wire
from storage_api.access import conversation_of
from storage_api.audit import audit
from storage_api.live_tail import LiveTail, read_live_tail
from storage_api.recording import not_found, store_unavailable
from storage_api.redis_needed import redis_needed
from storage_api.services import Services
from storage_api.wall_clock import now_ms

DEADLINE_S: Final = 30.0
FIRST_PAUSE_S: Final = 0.02
LONGEST_PAUSE_S: Final = 0.25
REASON: Final = "flush"

log = logging.getLogger(__name__)


async def flush(request: Request) -> Response:
    """Asks for it, and waits. It needs no body: one that comes is read up to the limit of all bodies, and not looked at."""
    services = Services.of(request)
    actor = await services.access.allow(request, "audio:write")
    conversation = conversation_of(request)
    await read_body(request)
    try:
        with redis_needed("what waits cannot be reached at the moment; try again"):
            samples = await _flush(services, conversation)
    except ProblemError as error:
        if error.code == "flush_timeout":
            audit(request, actor, "flush asked for", conversation_id=conversation.cid)
        raise
    audit(request, actor, "flushed", conversation_id=conversation.cid)
    return wire.json_response(wire.Flushed(stored_seconds=wire.seconds(samples)))


async def _flush(services: Services, conversation: Conversation) -> int:
    """Samples at 48 kHz that were stored."""
    bus = services.bus
    if await bus.tombstone(conversation):
        raise not_found()
    tail = await read_live_tail(bus, conversation)
    if not tail.chunks:
        if not tail.unheard and not await _stored(services, conversation):
            raise not_found()
        return 0
    if not await store_up_to(services, conversation, tail.chunks[-1].id):
        return 0
    return await _samples_stored(services, conversation, tail)


async def store_up_to(services: Services, conversation: Conversation, last: EntryId) -> bool:
    """Asks for what waits to be stored now, and returns when no entry up to `last` is left; False where nobody knows the conversation any more.

    ProblemError 504 `flush_timeout`. BusUnavailableError.
    """
    if not isinstance(await services.bus.ask(conversation, REASON), Asked):
        return False  # forgotten or deleted since it was read
    await services.hints.due(conversation, now_ms())
    await services.hints.ready(conversation, REASON)
    await _settled(services, conversation, last)
    return True


async def _stored(services: Services, conversation: Conversation) -> bool:
    try:
        return await services.bucket.has_any(*conversation)
    except StoreError as error:
        raise store_unavailable(error) from error


async def _settled(services: Services, conversation: Conversation, last: EntryId) -> None:
    """Returns when no entry up to `last` is left. ProblemError 504 `flush_timeout`."""
    pause = FIRST_PAUSE_S
    try:
        async with asyncio.timeout(DEADLINE_S):
            while await services.bus.read(conversation, count=1, last=last):
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE_S, pause * 1.5)
    except TimeoutError as error:
        log.warning("a flush takes longer than it may", extra={"request_id": request_id()})
        detail = "not everything is stored yet; it goes on, and asking again does no harm"
        raise ProblemError(504, "flush_timeout", detail) from error


async def _samples_stored(services: Services, conversation: Conversation, before: LiveTail) -> int:
    """How much of what waited went into the bucket: all but what was found to be unstorable, or deleted meanwhile."""
    waited = sum(live.span.samples for live in before.chunks)
    then, now = before.state, await services.bus.state(conversation)
    gone = now.dead_samples + now.deleted_samples - then.dead_samples - then.deleted_samples
    return max(0, waited - max(0, gone))
