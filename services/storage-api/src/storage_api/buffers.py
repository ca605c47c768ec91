"""`GET /v1/buffers` and `POST /v1/buffers:flush`, for operators: what waits in Redis, and having it stored now."""

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from audiobus import Conversation
from audiobus.asking import ask_together
from audiobus.errors import BusError, BusUnavailableError
from audiobus.look import Look
from audiobus.masters import PAGE, Masters
from audiobus.waiting import Buffer, buffers, waiting
from audiostore.errors import StoreError
from servicekit.body import read_json
from servicekit.problem import ProblemError
from storage_api import wire, wire_operators
from storage_api.audit import audit
from storage_api.moments import rfc3339_or_none
from storage_api.page_tokens import read_page_token, write_page_token
from storage_api.parameters import Parameters, path_id
from storage_api.recording import not_found, store_unavailable
from storage_api.redis_needed import redis_needed
from storage_api.services import Services
from storage_api.wall_clock import now_ms

REASON: Final = "flush"
NEVER: Final = 2**63 - 1
"""Stands for the time of the oldest audio where there is none: behind all others."""


class Place(msgspec.Struct, frozen=True, array_like=True, order=True):
    """A place in the list: what a page token holds."""

    oldest_ms: int
    tag: str


async def list_buffers(request: Request) -> Response:
    """A page of what waits, the oldest first."""
    services = Services.of(request)
    await services.access.allow_operator(request, "ops:admin")
    parameters = Parameters(request.query_params, ("page_size", "page_token"))
    size, token = parameters.page_size(), parameters.text("page_token")
    after = read_page_token(request.scope["path"], {}, token, Place) if token else None
    masters = Masters(services.bus)
    rows: list[wire_operators.Buffer] = []
    with redis_needed():
        found = await waiting(masters)
        page, following, total_seconds = await asyncio.to_thread(_told, found, after, size)
        for start in range(0, len(page), PAGE):
            rows += [_row(one) for one in await buffers(masters, page[start : start + PAGE])]
    token = None if following is None else write_page_token(request.scope["path"], {}, following)
    return wire.json_response(
        wire_operators.Buffers(
            buffers=rows,
            total=len(found),
            total_seconds=total_seconds,
            unavailable=[one.server for one in masters.away],
            next_page_token=token,
        )
    )


def _told(found: Sequence[Look], after: Place | None, size: int) -> tuple[list[Look], Place | None, float]:
    """The page after this place, where the next one goes on, and how many seconds wait in all. For a thread: there may be tens of thousands."""
    left = sorted(
        (look for look in found if after is None or _place(look) > after),
        key=_place,
    )
    page = left[:size]
    seconds = sum(look.balance.waiting for look in found) / 48_000
    return page, _place(page[-1]) if len(left) > size else None, seconds


async def flush_buffers(request: Request) -> Response:
    """Asks for one conversation's buffer, or for all, and answers at once."""
    services = Services.of(request)
    actor = await services.access.allow_operator(request, "ops:admin")
    body = await read_json(request, wire_operators.FlushBuffers, no_body=wire_operators.FlushBuffers())
    one = _named(body)
    masters = Masters(services.bus)
    with redis_needed():
        asked = await (_flush_all(masters) if one is None else _flush_one(services, one))
    which = {} if one is None else {"conversation_id": one.cid}
    audit(request, actor, "flush of buffers asked for", asked=asked, **which)
    answer = wire_operators.FlushAsked(asked=asked, unavailable=[one.server for one in masters.away])
    return wire.json_response(answer, status=202)


def _named(body: wire_operators.FlushBuffers) -> Conversation | None:
    """ProblemError 400 where only one of the two is there, or one is no id."""
    uid, cid = body.user_id, body.conversation_id
    if isinstance(uid, str) and isinstance(cid, str):
        return Conversation(path_id("user_id", uid), path_id("conversation_id", cid))
    if isinstance(uid, str) or isinstance(cid, str):
        raise ProblemError(
            400, "bad_json", "user_id and conversation_id belong together; none of them is all"
        )
    return None


async def _flush_one(services: Services, conversation: Conversation) -> int:
    """1, or 0 where nothing waits. ProblemError 404 where nobody ever recorded into it, or it is deleted."""
    if await services.bus.tombstone(conversation):
        raise not_found()
    (asked,) = await ask_together(services.bus, [conversation], REASON, now_ms())
    if isinstance(asked, BusUnavailableError):
        raise asked
    if asked is True:
        return 1
    try:
        if not await services.bucket.has_any(*conversation):
            raise not_found()
    except StoreError as error:
        raise store_unavailable(error) from error
    return 0


async def _flush_all(masters: Masters) -> int:
    """How many were asked for: those whose server does not answer are left out, and the masters know."""
    seen: set[Conversation] = set()
    async for page in masters.buffers():
        fresh = [one for one in dict.fromkeys(page) if one not in seen]
        for one, asked in zip(fresh, await ask_together(masters.bus, fresh, REASON, now_ms()), strict=True):
            if isinstance(asked, BusUnavailableError):
                masters.lost(masters.bus.keys.audio(one), asked)
            elif not isinstance(asked, BusError) and asked:  # else it is no conversation's key
                seen.add(one)
    return len(seen)


def _place(look: Look) -> Place:
    return Place(NEVER if look.oldest_ms is None else min(look.oldest_ms, NEVER), look.conversation.tag)


def _row(buffer: Buffer) -> wire_operators.Buffer:
    look = buffer.look
    return wire_operators.Buffer(
        user_id=look.conversation.uid,
        conversation_id=look.conversation.cid,
        seconds=buffer.seconds,
        bytes=buffer.bytes,
        entries=look.entries,
        oldest=rfc3339_or_none(look.oldest_ms),
        dead_letters=look.letters,
        state="being_stored" if buffer.state == "being stored" else buffer.state,
        why=buffer.why,
        fails=buffer.fails,
    )
