"""`GET /v1/dead-letters` and `POST /v1/dead-letters/{id}:retry`, for operators: what could not be stored, and another try.

Asking is all that is done here: a pusher tries, and the letter tells what came of it.
"""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from audiobus import Conversation, EntryId, dead_letters
from audiobus.dead_fields import named
from audiobus.dead_letters import Found, Order, last_try, mark, marked_ms, order, tries
from audiobus.errors import BadEntryError, BusContractError, BusUnavailableError, NotKnownError
from audiobus.letter import legible
from audiobus.masters import Masters
from servicekit.problem import ProblemError
from storage_api import wire, wire_operators
from storage_api.audit import audit
from storage_api.ids import letter_id, read_letter_id
from storage_api.moments import rfc3339_ms, rfc3339_or_none
from storage_api.page_tokens import read_page_token, write_page_token
from storage_api.parameters import Parameters
from storage_api.redis_needed import redis_needed
from storage_api.services import Services
from storage_api.wall_clock import now_ms

LONGEST_NAME: Final = 128
"""Characters of the name of what is no letter."""


class Place(msgspec.Struct, frozen=True, array_like=True):
    """A place in the list: what a page token holds."""

    tag: str
    order: Order


async def list_dead_letters(request: Request) -> Response:
    """A page of them, in order."""
    services = Services.of(request)
    await services.access.allow_operator(request, "ops:admin")
    parameters = Parameters(request.query_params, ("page_size", "page_token"))
    size, token = parameters.page_size(), parameters.text("page_token")
    after = read_page_token(request.scope["path"], {}, token, Place) if token else None
    masters = Masters(services.bus)
    with redis_needed():
        found = await _after(masters, after, size + 1)
    rows = await asyncio.to_thread(_rows, found[:size])
    following = None
    if len(found) > size:
        conversation, letter = found[size - 1]
        place = Place(conversation.tag, order(named(letter.id)))
        following = write_page_token(request.scope["path"], {}, place)
    return wire.json_response(
        wire_operators.DeadLetters(
            dead_letters=rows,
            unavailable=[one.server for one in masters.away],
            next_page_token=following,
        )
    )


async def retry_dead_letter(request: Request) -> Response:
    """Marks it for another try, and answers at once."""
    services = Services.of(request)
    actor = await services.access.allow_operator(request, "ops:admin")
    conversation, entry = read_letter_id(request.path_params["id"])
    at_ms = now_ms()
    with redis_needed():
        marked = await _mark(services, conversation, entry, at_ms)
    if not marked:
        raise ProblemError(404, "not_found", "no such dead letter: it is stored, or deleted")
    audit(request, actor, "retry asked for", conversation_id=conversation.cid, entry=str(entry))
    asked = wire_operators.RetryAsked(id=request.path_params["id"], retry_asked_at=rfc3339_ms(at_ms))
    return wire.json_response(asked, status=202)


async def _mark(services: Services, conversation: Conversation, entry: EntryId, at_ms: int) -> bool:
    try:
        return await mark(services.bus, conversation, entry, at_ms)
    except BusContractError:
        return False  # under that key lies what is nobody's letter
    except BadEntryError as error:
        detail = "what lies there cannot be read: nobody can store it"
        raise ProblemError(409, "not_retryable", detail) from error
    except NotKnownError as error:
        detail = "Redis no longer knows its conversation: it can be exported, and dropped"
        raise ProblemError(409, "not_retryable", detail) from error


async def _after(masters: Masters, place: Place | None, count: int) -> list[tuple[Conversation, Found]]:
    """At most so many. BusUnavailableError: no server answers."""
    graves = {one.tag: one async for page in masters.graves() for one in page}
    found: list[tuple[Conversation, Found]] = []
    for tag, one in sorted(graves.items()):
        if place is not None and tag < place.tag:
            continue
        within = place.order if place is not None and tag == place.tag else None
        try:
            async with aclosing(dead_letters.look(masters.bus, one, within)) as letters:
                async for letter in letters:
                    found.append((one, letter))
                    if len(found) == count:
                        return found
        except BusUnavailableError as error:
            masters.lost(masters.bus.keys.dead(one), error)
    return found


def _rows(found: Sequence[tuple[Conversation, Found]]) -> list[wire_operators.DeadLetter]:
    """For a thread: each packet of each letter is looked at."""
    return [_row(conversation, letter) for conversation, letter in found]


def _row(conversation: Conversation, found: Found) -> wire_operators.DeadLetter:
    letter = found.letter
    if letter is None:
        return wire_operators.DeadLetter(
            id=None,
            user_id=conversation.uid,
            conversation_id=conversation.cid,
            entry=found.id[:LONGEST_NAME],
            seconds=0.0,
            bytes=0,
            reason=found.defect,
            buried_at=None,
            start=None,
            parses=False,
            retry_asked_at=None,
            tries=0,
            last_try="",
        )
    read = legible(conversation, letter)
    return wire_operators.DeadLetter(
        id=letter_id(conversation, letter.entry.id),
        user_id=conversation.uid,
        conversation_id=conversation.cid,
        entry=str(letter.entry.id),
        seconds=letter.samples / 48_000,
        bytes=sum(len(value) for value in letter.entry.fields.values()),
        reason=letter.reason,
        buried_at=rfc3339_or_none(letter.at_ms),
        start=rfc3339_or_none(read.start_ms),
        parses=read.parses,
        retry_asked_at=rfc3339_or_none(marked_ms(letter)),
        tries=tries(letter),
        last_try=last_try(letter),
    )
