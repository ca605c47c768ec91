"""`GET`, `PUT /v1/users/{uid}/settings`: `protection` (`standard`, `enhanced`), `store_audio`, `daily_limit_ms`."""

import hashlib

import httpx
import pytest

from audiobus import Bus

PATH = "/v1/users/user-1/settings"
UNSET = {"protection": "standard", "store_audio": True, "daily_limit_ms": 0}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def get(api, token: str = "admin-token") -> httpx.Response:
    return await api.http.get(PATH, headers=bearer(token))


async def put(api, content, token: str = "admin-token") -> httpx.Response:
    if isinstance(content, dict):
        return await api.http.put(PATH, headers=bearer(token), json=content)
    return await api.http.put(PATH, headers=bearer(token), content=content)


async def told(api) -> dict:
    answer = await get(api)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_what_is_given_is_changed_and_the_rest_stays(api, one_bus):
    assert await told(api) == UNSET
    for change in ({"protection": "enhanced"}, {"store_audio": False}, {"daily_limit_ms": 3_600_000}, {}):
        before = await told(api)
        answer = await put(api, change)
        assert (answer.status_code, answer.json()) == (200, {**before, **change})
        assert await told(api) == answer.json()
    everything = await told(api)
    assert (await put(api, everything)).json() == everything
    assert await one_bus.user_settings("user-1") == {
        "protection": "enhanced",
        "store_audio": "0",
        "daily_limit_ms": "3600000",
    }
    assert (await api.http.get("/v1/users/user-2/settings", headers=bearer("admin-token"))).json() == UNSET


async def test_null_takes_the_users_own_limit_away(api, one_bus, caplog):
    caplog.set_level("INFO")
    object.__setattr__(api.services, "default_limit_ms", 7)
    assert (await put(api, {"daily_limit_ms": 5, "store_audio": False})).json()["daily_limit_ms"] == 5
    answer = await put(api, {"daily_limit_ms": None})
    assert (answer.status_code, answer.json()["daily_limit_ms"]) == (200, 7)
    assert await one_bus.user_settings("user-1") == {"store_audio": "0"}
    assert (await told(api))["daily_limit_ms"] == 7
    *_, line = [record for record in caplog.records if getattr(record, "audit", False)]
    assert line.daily_limit_ms is None


@pytest.mark.parametrize(
    "content",
    [
        {"protection": "secret"},
        {"protection": None},
        {"protection": 1},
        {"store_audio": None},
        {"store_audio": 0},
        {"store_audio": "true"},
        {"daily_limit_ms": -1},
        {"daily_limit_ms": 1.5},
        {"daily_limit_ms": "5"},
        {"daily_limit_ms": True},
        {"daily_limit_ms": 2**53},
        {"daily_limit_ms": 5, "unknown": 1},
        b"",
        b"null",
        b"[]",
        b"{",
        b"5",
        b'{"protection":"\xff"}',
        b'{"\xff":1}',
        b"[" * 60_000,
    ],
    ids=repr,
)
async def test_what_is_none_changes_nothing(api, one_bus, content):
    answer = await put(api, content)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_json")
    assert not await one_bus.command("EXISTS", one_bus.keys.user("user-1"))


async def test_a_body_over_the_limit_is_refused(api):
    answer = await put(api, b" " * 65_537)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_big")


async def test_users_read_their_own_and_change_nothing(api, one_bus):
    own, foreign = api.token("user-1"), api.token("user-2")
    assert (await get(api, own)).json() == UNSET
    answer = await put(api, {"protection": "enhanced"}, own)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    for answer in (await get(api, foreign), await put(api, {"store_audio": False}, foreign)):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert not await one_bus.command("EXISTS", one_bus.keys.user("user-1"))


@pytest.mark.parametrize("token", ["read-token", "write-token", "ops-token", "none-token"])
async def test_a_service_needs_the_scope(api, token):
    assert (await get(api, token)).status_code == 403
    assert (await put(api, {}, token)).status_code == 403


@pytest.mark.parametrize(
    ("fields", "settings", "named"),
    [
        (("protection", "secret"), {"protection": "enhanced"}, ("protection",)),
        (("protection", b"\xff\xfe"), {"protection": "enhanced"}, ("protection",)),
        (("store_audio", "maybe"), {}, ("store_audio",)),
        (("daily_limit_ms", "an hour"), {}, ("daily_limit_ms",)),
        (("daily_limit_ms", b"\x80"), {}, ("daily_limit_ms",)),
    ],
    ids=repr,
)
async def test_a_field_of_the_wrong_type_is_told_as_what_holds_with_a_warning(
    api, one_bus, caplog, fields, settings, named
):
    await one_bus.command("HSET", one_bus.keys.user("user-1"), *fields)
    assert await told(api) == {**UNSET, **settings}
    (line,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert line.fields == named
    assert "user-1" not in line.getMessage()


async def test_a_key_of_the_wrong_type_is_told_as_unset_and_every_route_bears_it(
    api, tape, conversation, one_bus, pcm_tone
):
    await tape.record(pcm_tone(1))
    key = one_bus.keys.user(conversation.uid)
    for spoil in (("SET", key, "what?"), ("HSET", key, b"\xff", b"\xff", "protection", b"\xff")):
        await one_bus.command("DEL", key)
        await one_bus.command(*spoil)
        assert (await get(api)).status_code == 200
        for rest in ("", "/chunks", "/audio"):
            answer = await api.get(conversation, rest)
            assert answer.status_code == 200, answer.text
        # Of whom it is not known whether they are protected, nothing may lie in a cache.
        assert answer.headers["cache-control"] == "private, no-store"
        path = f"/v1/users/{conversation.uid}/conversations"
        assert (await api.http.get(path, headers=bearer("all-token"))).status_code == 200
    await one_bus.command("DEL", key)
    await one_bus.command("RPUSH", key, "what?")
    assert await told(api) == UNSET
    assert (await put(api, {"daily_limit_ms": 5})).json() == {**UNSET, "daily_limit_ms": 5}
    assert await told(api) == {**UNSET, "daily_limit_ms": 5}


async def test_a_change_leaves_an_audit_line_without_the_user(api, caplog):
    caplog.set_level("INFO")
    assert (await put(api, {"store_audio": False})).status_code == 200
    (line,) = [record for record in caplog.records if getattr(record, "audit", False)]
    assert (line.message, line.operation, line.actor_name) == ("settings changed", "put_settings", "admin")
    assert line.store_audio is False
    assert not hasattr(line, "protection")
    assert "user-1" not in str(vars(line))
    assert line.user_hash == hashlib.sha256(b"user-1").hexdigest()[:16]
    caplog.clear()
    assert (await put(api, {})).status_code == 200
    assert not [record for record in caplog.records if getattr(record, "audit", False)], "nothing was changed"


async def test_redis_away_is_said_so(serve, store, tmp_path):
    async with Bus("redis://127.0.0.1:1") as away, serve(away, store, tmp_path) as api:
        for answer in (await get(api), await put(api, {"store_audio": True})):
            assert (answer.status_code, answer.json()["code"]) == (503, "live_unavailable")
            assert answer.headers["retry-after"] == "2"
