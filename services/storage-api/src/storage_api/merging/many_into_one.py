"""`POST /v1/users/{uid}/conversations:merge`: begins a merge.

Owns what is checked before anything is changed, and that the same request while one runs is the same operation: its id follows from what is
asked for. The rest is the operation's.
"""

import asyncio
import hashlib
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from audiobus import Conversation
from audiobus.errors import TooManyOperationsError
from audiobus.merging import begin_again
from audiobus.operations import Operation, begin, find
from audiobus.tombstone import target_of
from audiostore.errors import StoreError
from servicekit.body import read_json
from servicekit.problem import ProblemError
from storage_api.audit import audit
from storage_api.merging import merge
from storage_api.parameters import path_id
from storage_api.recorded_into import recorded_into
from storage_api.recording import store_unavailable
from storage_api.redis_needed import redis_needed
from storage_api.services import Services
from storage_api.wire_merging import MergeConversations
from storage_api.wire_operations import operation

MOST_UNDONE: Final = 8
"""Merges that are under way for a user."""
LOOKS_AT_ONCE: Final = 8
"""Sources that are looked at at the same time."""
RETRY_AFTER_S: Final = 10


async def merge_conversations(request: Request) -> Response:
    """Checks what is asked for, and begins the operation, or names the one that carries it out."""
    services = Services.of(request)
    actor = await services.access.allow(request, "audio:write")
    uid = path_id("the user id", request.path_params["uid"])
    body = await read_json(request, MergeConversations)
    target = Conversation(uid, path_id("target", body.target))
    named = [Conversation(uid, path_id("a source", cid)) for cid in dict.fromkeys(body.sources)]
    asked = merge.Request(
        sources=tuple(sorted(one.cid for one in named if one != target)),
        target=target.cid,
        delete_sources=body.delete_sources,
    )
    operation_id = _operation_id(uid, asked)
    with redis_needed():
        known = await find(services.bus, operation_id)
        if known is None or not _answers(known, asked):
            await _check(services, operation_id, named, target, goes=asked.delete_sources)
            await _begin(services, known, operation_id, uid, asked)
            services.operation_begun.set()
            audit(
                request,
                actor,
                "merge begun",
                conversation_id=target.cid,
                sources=list(asked.sources),
                delete_sources=asked.delete_sources,
                operation_id=operation_id,
            )
            known = await find(services.bus, operation_id)
    if known is None:
        detail = "the merge could not be written down; try again"
        raise ProblemError(503, "live_unavailable", detail, headers={"Retry-After": "2"})
    headers = {"Cache-Control": "private, no-store", "Location": f"/v1/operations/{operation_id}"}
    return Response(msgspec.json.encode(operation(known)), 202, headers, "application/json")


def _operation_id(uid: str, asked: merge.Request) -> str:
    """The same for the same request."""
    return hashlib.sha256(msgspec.json.encode([merge.KIND, uid, asked])).hexdigest()[:32]


def _answers(known: Operation, asked: merge.Request) -> bool:
    """Whether that operation is still the answer: sources that stay may have more by now, and what failed is tried anew."""
    return not known.done or (asked.delete_sources and not known.error)


async def _begin(
    services: Services, known: Operation | None, operation_id: str, uid: str, asked: merge.Request
) -> None:
    bus = services.bus
    try:
        if known is None:
            await begin(bus, operation_id, merge.KIND, uid, msgspec.json.encode(asked), most=MOST_UNDONE)
        else:
            await begin_again(bus, known, most=MOST_UNDONE)
    except TooManyOperationsError as error:
        detail = f"{MOST_UNDONE} merges are under way for this user; try again when one is done"
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        raise ProblemError(429, "too_many_operations", detail, headers=headers) from error


async def _check(
    services: Services, operation_id: str, named: list[Conversation], target: Conversation, *, goes: bool
) -> None:
    """ProblemError where the merge cannot be begun."""
    at_once = asyncio.Semaphore(LOOKS_AT_ONCE)

    async def look(source: Conversation) -> None:
        async with at_once:
            await _check_source(services, operation_id, source, target, goes=goes and source != target)

    try:
        async with asyncio.TaskGroup() as tasks:
            for source in named:
                tasks.create_task(look(source))
    except ExceptionGroup as group:
        raise group.exceptions[0] from group
    if await services.bus.tombstone(target):
        raise ProblemError(404, "not_found", "the target was deleted, or went into another conversation")
    await _check_free(services, operation_id, target)


async def _check_source(
    services: Services, operation_id: str, source: Conversation, target: Conversation, *, goes: bool
) -> None:
    bus = services.bus
    tombstone = await bus.command("GET", bus.keys.tomb(source))
    if tombstone is not None:
        if goes and target_of(tombstone) == target.tag:
            return  # it is there already
        raise _unknown(source)
    await _check_free(services, operation_id, source)
    letters = await bus.command("EXISTS", bus.keys.dead(source))
    if letters and goes:
        detail = f"{source.cid} has dead letters, which lie in no bucket: have them stored, or drop them"
        raise ProblemError(409, "dead_letters", detail)
    if letters or await recorded_into(bus, source, await bus.state(source)):
        return
    try:
        if not await services.bucket.has_any(*source):
            raise _unknown(source)
    except StoreError as error:
        raise store_unavailable(error) from error


async def _check_free(services: Services, operation_id: str, one: Conversation) -> None:
    """ProblemError 409 where another merge holds it that is not over."""
    bus = services.bus
    by, held = await bus.command("HMGET", bus.keys.conv(one), "merging_by", "held")
    for holder in (by and by.split()[0], held):
        if holder and holder.decode() != operation_id:
            other = await find(bus, holder.decode())
            if other is not None and not other.done:
                detail = f"{one.cid} is part of another merge; try again when that is done"
                raise ProblemError(409, "merging", detail)


def _unknown(source: Conversation) -> ProblemError:
    return ProblemError(
        404, "not_found", f"no such conversation, or nothing was ever recorded into it: {source.cid}"
    )
