"""`GET /v1/users/{uid}/usage?from&to`: ms of audio a day, and the limit."""

import time
from datetime import date, timedelta

import pytest

from audiobus import Bus, UsageTotal, UserRequest, utc_day
from audiobus.usage import DAY_MS
from storage_api.usage import by_day

PATH = "/v1/users/user-1/usage"


def text(day: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()


async def get(api, token: str = "admin-token", **query):
    return await api.http.get(PATH, params=query, headers={"Authorization": f"Bearer {token}"})


@pytest.fixture
def today() -> int:
    """If midnight is near, the next one."""
    now_ms = time.time_ns() // 1_000_000
    if DAY_MS - now_ms % DAY_MS < 20_000:
        time.sleep((DAY_MS - now_ms % DAY_MS) / 1000 + 0.1)
    return utc_day(time.time_ns() // 1_000_000)


async def test_yesterday_and_today_unless_days_are_named(api, one_bus, today):
    totals = (
        UsageTotal(today, "c/1", 700),
        UsageTotal(today, "d/2", 50),
        UsageTotal(today - 2, "c/1", 9),
    )
    await one_bus.look_up_user(UserRequest("user-1", today, 0, totals))
    answer = await get(api)
    assert answer.json() == {
        "days": [
            {"day": text(today - 1), "ms": 0, "stored_ms": None},
            {"day": text(today), "ms": 750, "stored_ms": None},
        ],
        "daily_limit_ms": 0,
    }
    rows = (await get(api, **{"from": text(today - 3), "to": text(today + 1)})).json()["days"]
    assert [(row["ms"], row["stored_ms"]) for row in rows] == [
        (None, 0),  # Redis keeps no day so long
        (9, None),
        (0, None),
        (750, None),
        (0, None),
    ]


async def test_the_limit_is_the_users_own_else_the_operators(api, one_bus):
    object.__setattr__(api.services, "default_limit_ms", 3_600_000)
    assert (await get(api)).json()["daily_limit_ms"] == 3_600_000
    await one_bus.command("HSET", one_bus.keys.user("user-1"), "daily_limit_ms", "7")
    assert (await get(api)).json()["daily_limit_ms"] == 7
    await one_bus.command("HSET", one_bus.keys.user("user-1"), "daily_limit_ms", "0")
    assert (await get(api)).json()["daily_limit_ms"] == 0


async def test_of_earlier_days_the_names_in_the_bucket_tell(api, tape, pcm_tone):
    midnight = 19_000 * DAY_MS
    await tape.record(pcm_tone(4), start_ms=midnight - 1_000)
    await tape.drain(0, len(tape.chunks))
    answer = await get(api, **{"from": text(18_998), "to": text(19_001)})
    rows = answer.json()["days"]
    assert [row["ms"] for row in rows] == [None] * 4
    stored = [row["stored_ms"] for row in rows]
    assert stored[0] == stored[3] == 0
    assert stored[1:3] == [pytest.approx(1_000, abs=2), pytest.approx(3_000, abs=2)]


def test_a_span_is_split_at_midnight():
    spans = [(0, 5), (DAY_MS - 1, 2 * DAY_MS + 2), (3 * DAY_MS, 3 * DAY_MS), (7, 7 + 9 * DAY_MS)]
    assert by_day(spans[:3], range(4)) == {0: 6, 1: DAY_MS, 2: 2, 3: 0}
    assert by_day(spans[3:], [0, 9, 10]) == {0: DAY_MS - 7, 9: 7, 10: 0}


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ({"from": "2026-13-01"}, "from"),
        ({"from": "yesterday"}, "from"),
        ({"from": ""}, "from"),
        ({"to": "2026-02-30"}, "to"),
        ({"to": "1969-12-31"}, "to"),
        ({"to": "0000-01-01"}, "to"),
        ({"from": "2026-01-02", "to": "2026-01-01"}, "from"),
        ({"from": "2025-01-01", "to": "2026-01-02"}, "from"),
        ({"from": "2026-01-01T00:00:00Z"}, "from"),
        ({"from": ["2026-01-01", "2026-01-02"]}, "from"),
    ],
)
async def test_days_that_are_none(api, query, parameter):
    answer = await get(api, **query)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_parameter")
    assert answer.json()["parameter"] == parameter


@pytest.mark.parametrize(("first", "last"), [("1970-01-01", "1970-01-01"), ("9999-01-01", "9999-12-31")])
async def test_days_at_the_ends_of_the_calendar(api, first, last):
    rows = (await get(api, **{"from": first, "to": last})).json()["days"]
    assert (rows[0]["day"], rows[-1]["day"]) == (first, last)


async def test_a_user_reads_their_own(api):
    assert (await get(api, api.token("user-1"))).status_code == 200
    answer = await get(api, api.token("user-2"))
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert (await get(api, "read-token")).status_code == 403


async def test_redis_away_is_said_so(serve, store, tmp_path):
    async with Bus("redis://127.0.0.1:1") as away, serve(away, store, tmp_path) as api:
        answer = await get(api)
        assert (answer.status_code, answer.json()["code"]) == (503, "live_unavailable")
