"""`DELETE /v1/users/{uid}/audio`: everything that a user recorded up to now. Owns what is fixed at that moment; the rest is an operation."""

import time
import uuid

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from audiobus import Conversation
from audiobus.deletions import set_user_tombstone
from audiobus.operations import begin, find
from audiobus.recorded_before import newest_ids
from servicekit.problem import ProblemError
from storage_api.audit import audit
from storage_api.deletion import user_audio
from storage_api.parameters import path_id
from storage_api.redis_needed import redis_needed
from storage_api.services import Services
from storage_api.wire_operations import operation


async def delete_user_audio(request: Request) -> Response:
    """Sets the user's tombstone, and begins the operation."""
    services = Services.of(request)
    actor = await services.access.allow(request, "audio:write")
    uid = path_id("the user id", request.path_params["uid"])
    operation_id = uuid.uuid4().hex
    with redis_needed():
        # By Redis' clock, as far as that is known: it is what the tombstone is held to.
        now_ms = max(time.time_ns() // 1_000_000, await services.bus.clock.ms(Conversation(uid, uid)))
        before_ms = await set_user_tombstone(services.bus, uid, now_ms)
        newest = await newest_ids(services.bus, await services.bus.live(uid))
        asked = user_audio.Request(
            before_ms=before_ms, newest={one.cid: str(newest_id) for one, newest_id in newest.items()}
        )
        await begin(services.bus, operation_id, user_audio.KIND, uid, msgspec.json.encode(asked))
        begun = await find(services.bus, operation_id)
    audit(request, actor, "deletion of all audio begun", operation_id=operation_id)
    if begun is None:
        detail = "the deletion could not be written down; try again"
        raise ProblemError(503, "live_unavailable", detail, headers={"Retry-After": "2"})
    headers = {"Cache-Control": "private, no-store", "Location": f"/v1/operations/{operation_id}"}
    return Response(msgspec.json.encode(operation(begun)), 202, headers, "application/json")
