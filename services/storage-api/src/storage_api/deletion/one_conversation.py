"""`DELETE …/{cid}`: the conversation, wherever it lies.

Owns the order: what there is is counted, then the tombstone stands and nothing more is taken in, then Redis is emptied, then the buckets until
a listing shows nothing. Pushers are told, and sweep until no put can be under way any more: whoever is killed in between leaves it to them.
"""

import asyncio
from dataclasses import replace
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from audiobus import Conversation
from audiobus.deletions import emptied, looked_at, sweep
from audiobus.errors import BusUnavailableError, MergingError
from audiobus.tombstone import Tombstone, entomb
from audiostore.errors import StoreError
from audiostore.names import conversation_prefix
from audiostore.waveform_names import conversation_waveforms
from servicekit.problem import ProblemError
from storage_api import wire
from storage_api.access import Actor, conversation_of
from storage_api.audit import audit
from storage_api.deletion.erasing import erase
from storage_api.live_tail import LiveTail, read_live_tail
from storage_api.parameters import Parameters
from storage_api.recording import Recording, not_found, store_unavailable
from storage_api.redis_needed import redis_needed
from storage_api.services import Services
from storage_api.wall_clock import now_ms
from storage_api.wire_operations import Deleted

NOT_BEGUN: Final = "the bucket cannot be read, and nothing of the conversation waits elsewhere: nothing is deleted yet; try again"
GOES_ON: Final = "it is deleted, and what the bucket still holds of it goes when that can be reached; try again to be told so"


async def delete_conversation(request: Request) -> Response:
    """Deletes it, or what was left of it where that was asked for before."""
    services = Services.of(request)
    actor = await services.access.allow(request, "audio:write")
    conversation = conversation_of(request)
    Parameters.and_no_others(request.query_params)
    deletion = _Deletion(services, conversation, request, actor)
    try:
        with redis_needed("what waits of it cannot be reached at the moment; try again"):
            deleted = await deletion.run()
    except MergingError as error:
        detail = "it is being merged into another conversation; delete it when that is done"
        raise ProblemError(409, "merging", detail) from error
    except StoreError as error:
        refused = store_unavailable(error)
        raise ProblemError(
            refused.status, refused.code, GOES_ON if deletion.begun else NOT_BEGUN, headers=refused.headers
        ) from error
    return wire.json_response(deleted)


class _Deletion:
    """One request."""

    def __init__(
        self, services: Services, conversation: Conversation, request: Request, actor: Actor
    ) -> None:
        self._services = services
        self._conversation = conversation
        self._request = request
        self._actor = actor
        self.begun = False
        """Whether the tombstone stands."""

    async def run(self) -> Deleted:
        """What was deleted. MergingError, BusUnavailableError, StoreError; ProblemError 404 where there is nothing."""
        bus, store, conversation = self._services.bus, self._services.bucket.store, self._conversation
        tail = await read_live_tail(bus, conversation)
        waits = bool(tail.chunks or tail.unheard or tail.state.dead_samples)
        waits = waits or bool(await bus.command("HLEN", bus.keys.dead(conversation)))
        try:
            objects = await self._services.bucket.objects(*conversation)
        except StoreError:
            # The audio that waits can go now, and pushers sweep the bucket when it is back.
            if waits:
                await self._entomb()
            raise
        if not objects and not waits:
            self.begun = await bus.tombstone(conversation)
            # Whoever deleted the audio may have been killed before this; or it went piece by piece, and its tombstone may be over.
            await erase(store, conversation_waveforms(*conversation))
            raise not_found()
        tomb = await self._entomb()
        if tomb.merged:
            raise not_found()
        swept = await sweep(bus, conversation, now_ms())
        self._services.metrics.deleted(swept.samples if swept is not None else 0)
        # Before the audio: without that nobody comes back for it. After it, for it may have been made meanwhile.
        await erase(store, conversation_waveforms(*conversation))
        # Pushers were told, and may have been faster.
        names = {one.info.name for one in objects} | await erase(store, conversation_prefix(*conversation))
        await erase(store, conversation_waveforms(*conversation))
        self._services.metrics.deleted(await emptied(bus, conversation))
        tail = _up_to_its_state(tail)
        recording = Recording(conversation, tail, tuple(objects))
        timeline = await asyncio.to_thread(getattr, recording, "timeline")
        samples = timeline.samples + tail.state.dead_samples
        # What came between the look and the tombstone.
        samples += max(0, tomb.received_samples - tail.state.received_samples)
        return Deleted(deleted_objects=len(names), deleted_seconds=wire.seconds(samples))

    async def _entomb(self) -> Tombstone:
        bus, conversation = self._services.bus, self._conversation
        at_ms = now_ms()
        try:
            async with looked_at(bus, conversation, at_ms):
                tomb = await entomb(bus, conversation, at_ms)
        except BusUnavailableError:
            # It may stand, here or on every replica, and whoever asks again finds it so: this line is the only one.
            self._audit("deletion asked for, and not confirmed")
            raise
        self.begun = True
        if tomb.fresh:
            self._audit("deleted")
        await self._services.hints.ready(conversation, "deleted")
        return tomb

    def _audit(self, action: str) -> None:
        audit(self._request, self._actor, action, conversation_id=self._conversation.cid)


def _up_to_its_state(tail: LiveTail) -> LiveTail:
    """Without what was appended after the state was read: that is counted by the books."""
    newest = tail.state.newest
    return replace(
        tail, chunks=tuple(live for live in tail.chunks if newest is not None and live.id <= newest)
    )
