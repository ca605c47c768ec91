"""The rules of a process for its users, and what a handshake is told."""

import pytest

from audiobus import Bus, UsageTotal, UserRequest, UserState, utc_day
from audiobus.usage import DAY_MS
from listen.allowance import MORNING_MS, Allowance, admit_user, retry_after_ms
from listen.errors import RefusedError


@pytest.mark.parametrize(
    ("limit_ms", "used_ms", "near", "exceeded"),
    [
        (0, 10**9, False, False),
        (1_000, 899, False, False),
        (1_000, 900, True, False),
        (1_000, 999, True, False),
        (1_000, 1_000, True, True),
    ],
)
def test_near_at_nine_tenths_and_exceeded_at_all(limit_ms, used_ms, near, exceeded):
    rules, user = Allowance(), UserState({}, limit_ms, used_ms)
    assert (rules.near(user), rules.exceeded(user)) == (near, exceeded)


def test_who_is_over_the_limit_comes_back_after_midnight_each_at_a_moment_of_their_own():
    now_ms = 20_000 * DAY_MS + 3_600_000
    moments = {retry_after_ms(now_ms, f"user-{n}") for n in range(50)}
    assert len(moments) > 40
    assert all(0 <= moment - 23 * 3_600_000 < MORNING_MS for moment in moments)


@pytest.mark.parametrize(
    ("policy", "user", "status"),
    [
        ("warn", UserState({"store_audio": "0"}, 0, 0), 403),
        ("warn", UserState({}, 10, 10), None),
        ("reject", UserState({}, 10, 9), None),
        ("reject", UserState({}, 10, 10), 429),
        ("reject", UserState({}, 0, 10), None),
    ],
)
def test_the_gate_of_a_handshake(policy, user, status, now_ms):
    rules = Allowance(policy=policy)
    if status is None:
        rules.gate(user, "alice", now_ms)
        return
    with pytest.raises(RefusedError) as caught:
        rules.gate(user, "alice", now_ms)
    assert caught.value.status == status
    if status == 429:
        assert caught.value.code == "limit"
        assert caught.value.retry_after_s >= (DAY_MS - now_ms % DAY_MS) / 1_000


async def test_a_handshake_hears_of_the_users_day(one_bus, now_ms):
    today = utc_day(now_ms)
    await one_bus.look_up_user(UserRequest("bob", today, 1, (UsageTotal(today, "a/1", 900),)))
    user = await admit_user(one_bus, Allowance(1_000, "reject"), "bob", now_ms)
    assert (user.limit_ms, user.used_ms) == (1_000, 900)
    with pytest.raises(RefusedError, match="daily limit"):
        await admit_user(one_bus, Allowance(900, "reject"), "bob", now_ms)
    # The next day begins at nothing.
    assert (await admit_user(one_bus, Allowance(900, "reject"), "bob", now_ms + DAY_MS)).used_ms == 0


async def test_a_redis_that_is_away_is_told_as_such(now_ms):
    async with Bus("redis://127.0.0.1:1") as away:
        with pytest.raises(RefusedError) as caught:
            await admit_user(away, Allowance(), "bob", now_ms)
    assert (caught.value.status, caught.value.retry_after_s is not None) == (503, True)


async def test_settings_that_are_something_else_in_redis_let_nobody_in(one_bus, now_ms, caplog):
    await one_bus.command("SET", one_bus.keys.user("bob"), "oops")
    with pytest.raises(RefusedError) as caught:
        await admit_user(one_bus, Allowance(), "bob", now_ms)
    assert (caught.value.status, caught.value.code) == (503, "unavailable")
    assert caught.value.retry_after_s is not None
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "WRONGTYPE" in caplog.text
    await one_bus.command("DEL", one_bus.keys.user("bob"))
    assert await admit_user(one_bus, Allowance(), "bob", now_ms)
