"""`DELETE /v1/users/{uid}/audio`: everything that a user recorded up to now. Owns what is fixed at that moment; the rest is an operation.

The order is the rule. What was appended before the tombstone is from before it, whatever the clock of its `listen` says: so the newest ids are read
first. What was made before it, and came behind these, is found in the buffers afterwards. A session that opens in between is later than both.
"""

import uuid
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from audiobus import Conversation, EntryId
from audiobus.deletions import set_user_tombstone
from audiobus.errors import TooManyOperationsError
from audiobus.operations import Operation, begin, find, undone
from audiobus.recorded_before import appended_late, newest_ids
from servicekit.problem import ProblemError
from storage_api.audit import audit, user_hash
from storage_api.deletion import notes
from storage_api.parameters import Parameters, path_id
from storage_api.redis_needed import redis_needed
from storage_api.services import Services
from storage_api.wire_operations import operation

MOST: Final = 2
"""Operations of a user that may be undone: one that is carried out, and one for what was recorded since."""
AGAIN_S: Final = 60
"""After so long it may be asked again where there are as many."""


async def delete_user_audio(request: Request) -> Response:
    """Sets the user's tombstone, and begins the operation, or answers the one that is about the very same audio."""
    services = Services.of(request)
    actor = await services.access.allow(request, "audio:write")
    uid = path_id("the user id", request.path_params["uid"])
    Parameters.and_no_others(request.query_params)
    asked = _Asked(services, uid)
    try:
        with redis_needed():
            begun = await asked.begin()
        services.operation_begun.set()
    except TooManyOperationsError as error:
        detail = "two deletions of this user's audio are under way; ask again when the first is done"
        headers = {"Retry-After": str(AGAIN_S)}
        raise ProblemError(429, "too_many_operations", detail, headers=headers) from error
    finally:
        if asked.stands:
            what = "deletion of all audio begun" if asked.operation_id else "deletion of all audio broke off"
            which = {"operation_id": asked.operation_id} if asked.operation_id else {}
            audit(request, actor, what, user_hash=user_hash(uid), **which)
    headers = {"Cache-Control": "private, no-store", "Location": f"/v1/operations/{begun.id}"}
    return Response(msgspec.json.encode(operation(begun)), 202, headers, "application/json")


class _Asked:
    """One request."""

    def __init__(self, services: Services, uid: str) -> None:
        self._bus = services.bus
        self._uid = uid
        self.stands = False
        """Whether the tombstone may stand: then what waits goes, whatever becomes of the rest."""
        self.operation_id = ""
        """Of the operation that carries it out, once it is written down."""

    async def begin(self) -> Operation:
        """The operation. BusUnavailableError: ask again. TooManyOperationsError: as many as may be are undone."""
        bus, uid = self._bus, self._uid
        newest = await newest_ids(bus, await bus.live(uid))
        ids = await undone(bus, notes.KIND, uid)
        same = await self._same(ids, newest)
        if same is None and len(ids) >= MOST:
            raise TooManyOperationsError(f"{len(ids)} operations of the kind {notes.KIND} are undone")
        # By Redis' clock: it is what the tombstone is held to.
        now_ms = await bus.clock.ms(Conversation(uid, uid))
        self.stands = True
        before_ms = await set_user_tombstone(bus, uid, now_ms)
        late = await appended_late(bus, await bus.live(uid), newest, before_ms)
        try:
            if same is not None and not late:
                return await self._written(same.id, same.request)
            return await self._written(uuid.uuid4().hex, _request(before_ms, {**newest, **late}))
        except TooManyOperationsError:
            # Others who asked at the same time were faster, mostly about the very same audio.
            same = None if late else await self._same(await undone(bus, notes.KIND, uid), newest)
            if same is None:
                raise
            return await self._written(same.id, same.request)

    async def _same(self, ids: list[str], newest: dict[Conversation, EntryId]) -> Operation | None:
        """The last one that is undone, if nothing was recorded since it was asked for."""
        last = await find(self._bus, ids[-1]) if ids else None
        if last is None:
            return None
        asked = msgspec.json.decode(last.request, type=notes.Request)
        return last if asked.newest == _texts(newest) else None

    async def _written(self, operation_id: str, asked: bytes) -> Operation:
        """TooManyOperationsError."""
        bus = self._bus
        # Also where it is there: as many replicas as are asked for must know of it.
        await begin(bus, operation_id, notes.KIND, self._uid, asked, most=MOST)
        self.operation_id = operation_id
        begun = await find(bus, operation_id)
        if begun is None:
            detail = "the deletion could not be written down; try again"
            raise ProblemError(503, "live_unavailable", detail, headers={"Retry-After": "2"})
        return begun


def _request(before_ms: int, newest: dict[Conversation, EntryId]) -> bytes:
    return msgspec.json.encode(notes.Request(before_ms=before_ms, newest=_texts(newest)))


def _texts(newest: dict[Conversation, EntryId]) -> dict[str, str]:
    return {one.cid: str(entry_id) for one, entry_id in newest.items()}
