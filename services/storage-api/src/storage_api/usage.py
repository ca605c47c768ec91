"""`GET /v1/users/{uid}/usage`: ms of audio a day, and the limit.

Redis counts exactly, and keeps a day for two days. Of earlier days the names in the bucket say how much time the user's objects take up.
"""

import asyncio
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from audiobus import utc_day
from audiobus.usage import DAY_MS
from audiobus.usage_days import used_by_day
from audiobus.user_settings import read_user_settings
from audiostore.errors import StoreError
from storage_api import wire, wire_users
from storage_api.catalogue import told_ms
from storage_api.parameters import Parameters, bad_parameter, path_id
from storage_api.recording import store_unavailable
from storage_api.redis_needed import redis_needed
from storage_api.services import Services
from storage_api.wall_clock import now_ms

MAX_DAYS: Final = 366
SURELY_KEPT: Final = 1
"""Days before today of which Redis surely knows: a day goes two days after its last write."""

_EPOCH: Final = date(1970, 1, 1)


async def usage(request: Request) -> Response:
    """The days from `from` to `to`, both included."""
    services = Services.of(request)
    await services.access.allow(request, "users:admin")
    uid = path_id("the user id", request.path_params["uid"])
    today = utc_day(now_ms())
    days = wanted_days(Parameters(request.query_params, ("from", "to")), today)
    with redis_needed():
        settings = await read_user_settings(services.bus, uid)
        used = await used_by_day(services.bus, uid, days)
    known = {
        day: ms if ms is not None or day < today - SURELY_KEPT else 0
        for day, ms in zip(days, used, strict=True)
    }
    unknown = [day for day, ms in known.items() if ms is None]
    stored = await _stored(services, uid, unknown) if unknown else {}
    rows = [
        wire_users.DayOfUsage(day=_text(day), ms=ms, stored_ms=stored.get(day)) for day, ms in known.items()
    ]
    own = settings.daily_limit_ms
    limit_ms = services.default_limit_ms if own is None else own
    return wire.json_response(wire_users.Usage(days=rows, daily_limit_ms=limit_ms))


def wanted_days(parameters: Parameters, today: int) -> range:
    """`from` and `to`, in days since 1970: today, and the day before `to`, where they are not given. ProblemError 400."""
    last = parameters.day("to")
    if last is None:
        last = today
    first = parameters.day("from")
    if first is None:
        first = max(0, last - 1)
    if first > last:
        raise bad_parameter("from", "must not be after to")
    if last - first >= MAX_DAYS:
        raise bad_parameter("from", f"the days asked for must be at most {MAX_DAYS}, from and to included")
    return range(first, last + 1)


def by_day(spans: Iterable[tuple[int, int]], days: Iterable[int]) -> dict[int, int]:
    """How many ms of each of these days lie in spans of unix ms. Pure."""
    found = dict.fromkeys(days, 0)
    for start_ms, end_ms in spans:
        for day in range(start_ms // DAY_MS, -(-end_ms // DAY_MS)):
            if day in found:
                found[day] += min(end_ms, (day + 1) * DAY_MS) - max(start_ms, day * DAY_MS)
    return found


async def _stored(services: Services, uid: str, days: list[int]) -> dict[int, int]:
    try:
        spans = [
            (name.start_ms, name.start_ms + told_ms(name, info.size))
            async for name, info, _ in services.bucket.names(uid)
        ]
    except StoreError as error:
        raise store_unavailable(error) from error
    return await asyncio.to_thread(by_day, spans, days)


def _text(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).isoformat()
