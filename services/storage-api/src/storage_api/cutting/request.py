"""One request to delete some of a conversation: whether there is such a one, whose turn it is, and what is answered.

Owns what both routes share. Nothing is changed before the conversation is known, no merge holds it, and nobody else replaces objects of it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from audiobus import Conversation, EntryId
from audiobus.errors import BadEntryError, BusError, ConversationDeletedError, MergingError
from audiobus.meant import Meant, Notes, note, notes
from audiobus.replacing import LEASE_MS, Replacing
from audiostore.errors import StoreError
from servicekit.ending import end
from servicekit.problem import ProblemError
from storage_api import wire
from storage_api.access import conversation_of
from storage_api.audit import audit
from storage_api.cutting.cutting import Cut, Cutting
from storage_api.cutting.place import LostError
from storage_api.cutting.waiting import drop_chunk, drop_unheard
from storage_api.cutting.wanted import Wanted
from storage_api.live_tail import LiveChunk
from storage_api.recorded_into import recorded_into
from storage_api.recording import Recording, live_unavailable, not_found, store_unavailable
from storage_api.redis_needed import redis_needed
from storage_api.services import Services
from storage_api.wall_clock import now_ms
from storage_api.wire_operations import Deleted

PATIENCE_S: Final = 20.0
"""So long a request waits for another that is just deleting some of the same conversation: longer than one that was killed is in the way."""
PAUSE_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Chosen:
    """What of a recording is to be deleted."""

    wanted: Wanted
    """Objects and stretches."""
    live: Sequence[LiveChunk] = ()
    """Chunks that wait."""
    unheard: Collection[EntryId] = ()
    """Entries that do not parse, and dead letters."""
    meant: Mapping[int, Meant] = field(default_factory=dict)
    """By time, unix ms, what was chosen by it: asked for again, it means the same."""


Choose: TypeAlias = Callable[[Recording, Notes, int], Chosen]
"""Chooses. It is given what is noted of earlier deletions, too, and the time, unix ms."""


async def delete_some(request: Request, action: str, read: Callable[[QueryParams], Choose]) -> Response:
    """Deletes what is asked for. `action`: what the audit line says. `read`: ProblemError 400 for a query that asks for nothing."""
    services = Services.of(request)
    actor = await services.access.allow(request, "audio:write")
    conversation = conversation_of(request)
    choose = read(request.query_params)
    cut = Cut()
    try:
        with redis_needed():
            await _delete(services, conversation, choose, cut)
    except MergingError as error:
        detail = "it is being merged into another conversation; delete it there when that is done"
        raise ProblemError(409, "merging", detail) from error
    except ConversationDeletedError as error:
        raise not_found() from error
    except LostError as error:
        raise _busy() from error
    except BadEntryError as error:
        raise _unknown_cut() from error
    except StoreError as error:
        raise store_unavailable(error) from error
    else:
        cut.done = True
    finally:
        services.metrics.deleted(cut.samples)
        if cut.done or cut.objects or cut.samples:
            said = {"deleted_objects": cut.objects, "deleted_seconds": wire.seconds(cut.samples)}
            audit(request, actor, action, conversation_id=conversation.cid, **said)
    return wire.json_response(Deleted(deleted_objects=cut.objects, deleted_seconds=wire.seconds(cut.samples)))


async def _delete(
    services: Services,
    conversation: Conversation,
    choose: Choose,
    cut: Cut,
) -> None:
    bus = services.bus
    replacing = Replacing(bus, conversation)
    async with _turn(replacing):
        recording = await services.recordings.look(conversation)
        await _check_known(services, recording)
        await replacing.refuse_merge()
        known, at_ms = await notes(bus, conversation), now_ms()
        # It may have ten thousand rows.
        chosen = await asyncio.to_thread(choose, recording, known, at_ms)
        leaving = await asyncio.to_thread(known.leaving, at_ms, chosen.meant)
        # Before anything goes: whoever asks again means the same, wherever this one ends.
        if not await note(replacing, chosen.meant, leaving):
            raise LostError
        all_of = chosen.wanted
        for chunk in chosen.live:
            samples = await drop_chunk(services, conversation, chunk.id)
            if samples is None:
                # Stored meanwhile: it is cut out of the batch that holds it, and no more than it.
                all_of.audio.add_span(chunk.span)
                all_of = replace(all_of, unread=(*all_of.unread, (chunk.span.start_48k, chunk.span.end_48k)))
            cut.samples += samples or 0
        for entry_id in chosen.unheard:
            cut.samples += await drop_unheard(services, conversation, entry_id)
        wanted = all_of.up_to(recording.extent_48k[1]) if not recording.empty else all_of.up_to(0)
        await Cutting(services, replacing, wanted, all_of, cut).run()


async def _check_known(services: Services, recording: Recording) -> None:
    """ProblemError 404 where nobody ever recorded into it, 503 where what waits of it cannot be read."""
    if recording.tail is None:
        raise live_unavailable()
    if not recording.empty:
        return
    # All of it may have been deleted before.
    if not await recorded_into(services.bus, recording.conversation, recording.tail.state):
        raise not_found()


@asynccontextmanager
async def _turn(replacing: Replacing) -> AsyncIterator[None]:
    """While inside, nobody else replaces objects. ProblemError 503 `deleting`."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not await replacing.hold():  # noqa: ASYNC110 - what is waited for happens in another process
                await asyncio.sleep(PAUSE_S)
    except TimeoutError as error:
        raise _busy() from error
    keeper = asyncio.create_task(_keep(replacing), name="replacing")
    try:
        yield
    finally:
        await end([keeper])
        with suppress(BusError):  # it runs out by itself
            await replacing.release()


async def _keep(replacing: Replacing) -> None:
    """Goes on holding it: a bucket may take longer for one object."""
    while True:
        await asyncio.sleep(LEASE_MS / 3000)
        # Whether it was lost is looked at before each step.
        with suppress(BusError):
            await replacing.keep()


def _unknown_cut() -> ProblemError:
    detail = "what Redis holds of it was written by another version, or is damaged, and cannot be read here"
    return ProblemError(503, "live_unavailable", detail, headers={"Retry-After": "5"})


def _busy() -> ProblemError:
    detail = "something else of the conversation is just being deleted; try again"
    return ProblemError(503, "deleting", detail, headers={"Retry-After": "5"})
