"""`POST /v1/users/{uid}/conversations:merge`: begins a merge.

Owns what is checked before anything is changed, that the same request while one runs is the same operation (its id follows from what is
asked for), and that nothing of it can be deleted from the answer on. The rest is the operation's.
"""

import asyncio
import contextlib
import hashlib
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from audiobus import Conversation
from audiobus.errors import ConversationDeletedError, HeldError, MergedError, TooManyOperationsError
from audiobus.merging import begin_again, hold, thaw
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
ASKED_MS: Final = 60_000
"""So long nobody deletes what a merge that was asked for needs, though no process has begun to carry it out."""


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
            # Before anybody is told that it is under way: a deletion that comes after the answer must not win.
            await _hold(services, operation_id, uid, asked)
            try:
                await _begin(services, known, operation_id, uid, asked)
            except ProblemError:
                await _let_go(services, operation_id, uid, asked)
                raise
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
            if known is not None and known.done:
                await _let_go(
                    services, operation_id, uid, asked
                )  # another request's, while this one was checked
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


async def _hold(services: Services, operation_id: str, uid: str, asked: merge.Request) -> None:
    """Keeps others from deleting what is to be merged. In the one order in which merges take: of those that want each other's, one comes through.

    ProblemError 404, 409 as with `_check`, from which it may have changed: nothing is held then.
    """
    bus, target = services.bus, Conversation(uid, asked.target)
    until_ms = await bus.clock.ms(target) + ASKED_MS
    for one in _taken(uid, asked):
        try:
            await hold(bus, one, operation_id, until_ms=until_ms)
        except HeldError as error:
            if error.operation_id == operation_id:
                continue  # the same request came twice
            other = await find(bus, error.operation_id)
            if other is not None and not other.done:
                await _let_go(services, operation_id, uid, asked)
                raise _merging(one) from error
            # Its end was lost, or its begin: whoever carries this one out sees to that.
        except (MergedError, ConversationDeletedError) as error:
            went = isinstance(error, MergedError) and error.target == target.tag and one != target
            if not (went and asked.delete_sources):
                await _let_go(services, operation_id, uid, asked)
                raise (_gone_target() if one == target else _unknown(one)) from error


async def _let_go(services: Services, operation_id: str, uid: str, asked: merge.Request) -> None:
    """Lets go of what was held for a merge, where nobody carries it out."""
    if await _stands(services, operation_id):
        return
    for one in _taken(uid, asked):
        await thaw(services.bus, one, operation_id)
    # The operation lies on another server than what is held, so both cannot be looked at in one step: the same request may have been written
    # down by another process meanwhile, and what it held was let go with this.
    if await _stands(services, operation_id):
        until_ms = await services.bus.clock.ms(Conversation(uid, asked.target)) + ASKED_MS
        for one in _taken(uid, asked):
            # Who carries it out has frozen it, or brought it to its end, or will find out what became of it.
            with contextlib.suppress(HeldError, MergedError, ConversationDeletedError):
                await hold(services.bus, one, operation_id, until_ms=until_ms)


async def _stands(services: Services, operation_id: str) -> bool:
    known = await find(services.bus, operation_id)
    return known is not None and not known.done


def _taken(uid: str, asked: merge.Request) -> list[Conversation]:
    """All that the merge takes hold of, in its order; nothing where there is nothing to do."""
    names = sorted({*asked.sources, asked.target}) if asked.sources else []
    return [Conversation(uid, cid) for cid in names]


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
        raise _gone_target()
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
                raise _merging(one)


def _merging(one: Conversation) -> ProblemError:
    return ProblemError(409, "merging", f"{one.cid} is part of another merge; try again when that is done")


def _gone_target() -> ProblemError:
    return ProblemError(404, "not_found", "the target was deleted, or went into another conversation")


def _unknown(source: Conversation) -> ProblemError:
    return ProblemError(
        404, "not_found", f"no such conversation, or nothing was ever recorded into it: {source.cid}"
    )
