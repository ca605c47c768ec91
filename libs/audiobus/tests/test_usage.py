"""Usage: what append adds up, and the script that carries it to the user's day."""

import asyncio

import pytest

from audiobus import Bus, UsageTotal, UserRequest, Writer, utc_day
from audiobus.errors import BadEntryError, BusContractError
from audiobus.usage import DAY_MS, KEPT_S, former_totals, session_totals

DAY = 20_048
"""2024-11-21."""
NOON_MS = DAY * DAY_MS + DAY_MS // 2


async def day_of(bus, day: int = DAY, uid: str = "user-1") -> dict[str, int]:
    rows = await bus.command("HGETALL", bus.keys.usage(uid, day))
    pairs = rows.items() if isinstance(rows, dict) else zip(rows[::2], rows[1::2], strict=True)
    return {key.decode(): int(value) for key, value in pairs}


def test_the_key_names_the_day_in_utc(bus):
    assert bus.keys.usage("u", DAY) == f"{bus.keys.prefix}usage:{{u}}:20241121"
    assert (utc_day(DAY * DAY_MS), utc_day(DAY * DAY_MS - 1)) == (DAY, DAY - 1)


# -- what append adds up


async def test_an_append_answers_what_the_session_has_used_by_days(recorder):
    opened = await recorder.open()
    assert (opened.used, opened.used_was) == (b"", b"")
    await recorder.append(100, now_ms=NOON_MS)
    answer = await recorder.append(250, now_ms=NOON_MS)
    assert answer.used == f"{DAY}:{250 * 48}".encode()
    assert session_totals("conv-1", 7, answer.used) == (UsageTotal(DAY, "conv-1/7", 250),)


async def test_a_repeat_counts_once(recorder, bus):
    await recorder.open()
    request = recorder.request(100, now_ms=NOON_MS)
    assert (await bus.append(request)).used == (await bus.append(request)).used


async def test_midnight_begins_another_sum_and_keeps_the_one_before(recorder):
    await recorder.open()
    await recorder.append(100, now_ms=NOON_MS)
    await recorder.append(150, now_ms=NOON_MS + DAY_MS)
    answer = await recorder.append(180, now_ms=NOON_MS + DAY_MS)
    assert session_totals("c", 1, answer.used) == ((DAY + 1, "c/1", 80), (DAY, "c/1", 100))
    answer = await recorder.append(200, now_ms=NOON_MS + 2 * DAY_MS)
    assert session_totals("c", 1, answer.used) == ((DAY + 2, "c/1", 20), (DAY + 1, "c/1", 80))


@pytest.mark.parametrize(
    ("days", "sums"),
    [
        ((0, -1, 0), ((0, 200), (-1, 100))),
        ((0, -1, -2), ((0, 100), (-1, 200))),
        ((0, -2, -1), ((0, 100), (-1, 100))),
        ((0, 1, 0), ((1, 100), (0, 200))),
        ((5, 0, 1), ((5, 100), (1, 100))),
    ],
)
async def test_a_clock_set_back_takes_nothing_away_from_the_newest_day(recorder, days, sums):
    await recorder.open()
    for number, day in enumerate(days, 1):
        answer = await recorder.append(100 * number, now_ms=NOON_MS + day * DAY_MS)
    assert session_totals("c", 1, answer.used) == tuple((DAY + day, "c/1", ms) for day, ms in sums)


async def test_whoever_resumes_goes_on_from_what_was_used(recorder, another):
    opened = await recorder.open()
    await recorder.append(100, now_ms=NOON_MS)
    second = another()
    resumed = await second.open(resume=opened.epoch)
    assert resumed.used == f"{DAY}:{100 * 48}".encode()
    assert (await second.append(150, now_ms=NOON_MS)).used == f"{DAY}:{150 * 48}".encode()


async def test_a_fresh_session_begins_at_nothing_and_hears_of_the_one_before(recorder, another):
    opened = await recorder.open()
    await recorder.append(100, now_ms=NOON_MS)
    fresh = await another().open()
    assert fresh.used == b""
    former = ((DAY, f"conv-1/{opened.epoch}", 100),)
    assert former_totals("conv-1", fresh.used_was) == former
    # One that was opened without a use, as when the answer was lost, does not hide it.
    third = another()
    assert former_totals("conv-1", (await third.open()).used_was) == former
    await third.append(30, now_ms=NOON_MS)
    assert former_totals("conv-1", (await another().open()).used_was)[0].ms == 30


async def test_what_is_forgotten_counts_no_more(recorder, bus, conversation, now_ms):
    await recorder.open()
    await recorder.append(100)
    await bus.command("XTRIM", bus.keys.audio(conversation), "MAXLEN", 0)
    assert await bus.forget(conversation, now_ms + 2 * DAY_MS)
    assert (await recorder.open(now_ms=now_ms + 3 * DAY_MS)).used_was == b""


@pytest.mark.parametrize("value", [b"x", b"1:2,", b"1:2,3", b"01:2", b"1:-2", b"1:2,3:4,5:6", b"\xff"])
def test_a_sum_that_no_script_wrote_is_refused(value):
    with pytest.raises(BadEntryError):
        session_totals("c", 1, value)
    with pytest.raises(BadEntryError):
        former_totals("c", value)


# -- the user's day


async def test_totals_are_written_with_a_time_limit_and_never_shrink(bus):
    ask = UserRequest("user-1", DAY, 1, (UsageTotal(DAY, "a/1", 500), UsageTotal(DAY - 1, "a/1", 70)))
    state = await bus.look_up_user(ask)
    assert (state.written, state.used_ms) == (True, 500)
    less = UserRequest("user-1", DAY, 1, (UsageTotal(DAY, "a/1", 400), UsageTotal(DAY, "b/2", 30)))
    assert (await bus.look_up_user(less)).used_ms == 530
    assert await day_of(bus) == {"a/1": 500, "b/2": 30}
    assert await day_of(bus, DAY - 1) == {"a/1": 70}
    assert 0 < await bus.command("TTL", bus.keys.usage("user-1", DAY)) <= KEPT_S


async def test_a_user_without_settings_has_the_default_limit(bus):
    state = await bus.look_up_user(UserRequest("nobody", DAY))
    assert (dict(state.settings), state.limit_ms, state.used_ms) == ({}, 0, 0)
    assert state.stores_audio
    assert (await bus.look_up_user(UserRequest("nobody", DAY, 60_000))).limit_ms == 60_000


@pytest.mark.parametrize(("own", "limit"), [("0", 0), ("90000", 90_000), ("much", 60_000), ("-1", 60_000)])
async def test_a_users_own_limit_rules_where_it_is_a_number(bus, own, limit):
    await bus.command("HSET", bus.keys.user("u"), "daily_limit_ms", own)
    assert (await bus.look_up_user(UserRequest("u", DAY, 60_000))).limit_ms == limit


@pytest.mark.parametrize(("value", "stores"), [("1", True), ("true", True), ("0", False), ("False", False)])
async def test_storing_is_on_until_it_is_switched_off(bus, value, stores):
    await bus.command("HSET", bus.keys.user("u"), "store_audio", value, "protection", "enhanced")
    state = await bus.look_up_user(UserRequest("u", DAY))
    assert state.stores_audio is stores
    assert state.settings["protection"] == "enhanced"


async def test_a_full_redis_writes_nothing_and_answers_what_is_set(redis_process):
    async with Bus(redis_process.url) as bus:
        await bus.command("HSET", bus.keys.user("u"), "store_audio", "0")
        ask = UserRequest("u", DAY, 1, (UsageTotal(DAY, "a/1", 500),))
        await bus.command("CONFIG", "SET", "maxmemory", "1")
        state = await bus.look_up_user(ask)
        assert (state.written, state.stores_audio, state.used_ms) == (False, False, 0)
        await bus.command("CONFIG", "SET", "maxmemory", "0")
        assert (await bus.look_up_user(ask)).used_ms == 500


def test_an_answer_that_makes_no_sense_is_refused():
    with pytest.raises(BusContractError):
        UserRequest("u", DAY).read([b"?"])


async def test_looks_at_users_go_out_with_the_appends(recorder, bus):
    await recorder.open()
    await recorder.append(50)
    await bus.look_up_user(UserRequest("user-1", DAY))  # from now on Redis knows both scripts
    writer = Writer(bus)
    running = asyncio.create_task(writer.run())
    ask = UserRequest("user-1", DAY, 1, (UsageTotal(DAY, "conv-1/1", 5),))
    appended, state = await asyncio.gather(writer.append(recorder.request(100)), writer.look_up_user(ask))
    assert appended.newest.offset == 100
    assert state.used_ms == 5
    assert writer.commands == 2
    writer.close()
    await running


async def test_a_usage_that_somebody_changed_by_hand_hides_no_settings(bus):
    await bus.command("SET", bus.keys.usage("u", DAY), "spoiled")
    await bus.command("HSET", bus.keys.user("u"), "store_audio", "0", "daily_limit_ms", "9")
    state = await bus.look_up_user(UserRequest("u", DAY, 0, (UsageTotal(DAY, "a/1", 5),)))
    assert (state.written, state.stores_audio, state.limit_ms, state.used_ms) == (False, False, 9, 0)


async def test_whoever_drains_reads_what_a_conversation_used(recorder, another, bus, conversation):
    assert await bus.used(conversation) == ()
    first = await recorder.open()
    await recorder.append(100, now_ms=NOON_MS)
    second = another()
    await second.open()
    await second.append(30, now_ms=NOON_MS)
    assert await bus.used(conversation) == (
        (DAY, f"conv-1/{second.newest.epoch}", 30),
        (DAY, f"conv-1/{first.epoch}", 100),
    )


async def test_the_sum_of_the_day_is_kept_and_made_anew_where_it_is_missing_or_spoiled(bus):
    def ask(*totals: tuple[str, int]) -> UserRequest:
        return UserRequest("u", DAY, 1, tuple(UsageTotal(DAY, session, ms) for session, ms in totals))

    key = bus.keys.usage_sum("u", DAY)
    assert (await bus.look_up_user(ask(("a/1", 100)))).used_ms == 100
    assert await bus.command("GET", key) == b"100"
    assert (await bus.look_up_user(ask(("a/1", 150), ("b/2", 7), ("a/1", 120)))).used_ms == 157
    assert 0 < await bus.command("TTL", key) <= KEPT_S
    for spoil in (("DEL", key), ("SET", key, "much"), ("DEL", key)):
        await bus.command(*spoil)
        assert (await bus.look_up_user(ask(("b/2", 8)))).used_ms == 158
    await bus.command("DEL", key)
    await bus.command("LPUSH", key, "x")
    assert (await bus.look_up_user(ask())).used_ms == 158
    await bus.command("DEL", key)
    await bus.command("LPUSH", key, "x")
    assert (await bus.look_up_user(ask(("b/2", 9)))).used_ms == 159
    assert await bus.command("GET", key) == b"159"


async def test_a_sum_says_the_same_as_the_hash_whatever_is_written(bus):
    for number in range(200):
        day, session = DAY - number % 2, f"c/{number % 7}"
        total = UsageTotal(day, session, (number * 37) % 500)
        state = await bus.look_up_user(UserRequest("u", DAY, 1, (total,)))
        assert state.used_ms == sum((await day_of(bus, uid="u")).values())
    assert int(await bus.command("GET", bus.keys.usage_sum("u", DAY))) == sum(
        (await day_of(bus, uid="u")).values()
    )
