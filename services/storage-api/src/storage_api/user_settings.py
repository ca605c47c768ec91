"""`GET` and `PUT /v1/users/{uid}/settings`. A user reads their own; services change them, for a limit or an order of the operator's is in them."""

import logging

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from audiobus.user_settings import UserSettings, change_user_settings, read_user_settings
from servicekit.body import read_json
from storage_api import wire, wire_users
from storage_api.access import services_only
from storage_api.audit import audit, user_hash
from storage_api.parameters import path_id
from storage_api.redis_needed import redis_needed
from storage_api.services import Services

log = logging.getLogger(__name__)


async def get_settings(request: Request) -> Response:
    """What holds for the user."""
    services = Services.of(request)
    await services.access.allow(request, "users:admin")
    uid = path_id("the user id", request.path_params["uid"])
    with redis_needed():
        found = await read_user_settings(services.bus, uid)
    return wire.json_response(_told(found, services.default_limit_ms))


async def put_settings(request: Request) -> Response:
    """Changes what is given, and answers what holds then."""
    services = Services.of(request)
    actor = await services.access.allow(request, "users:admin")
    services_only(actor)
    uid = path_id("the user id", request.path_params["uid"])
    change = await read_json(request, wire_users.UserSettingsChange)
    given = {
        name: value for name, value in msgspec.structs.asdict(change).items() if value is not msgspec.UNSET
    }
    with redis_needed():
        stands = await change_user_settings(services.bus, uid, given)
    if given:
        audit(request, actor, "settings changed", user_hash=user_hash(uid), **given)
    return wire.json_response(_told(stands, services.default_limit_ms))


def _told(found: UserSettings, default_limit_ms: int) -> wire_users.UserSettings:
    if found.defects:
        log.warning("settings of a user in Redis cannot be followed", extra={"fields": found.defects})
    limit_ms = default_limit_ms if found.daily_limit_ms is None else found.daily_limit_ms
    return wire_users.UserSettings(
        protection=found.protection, store_audio=found.store_audio, daily_limit_ms=limit_ms
    )
