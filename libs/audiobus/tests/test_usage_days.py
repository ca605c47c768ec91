"""Usage by days, as `td:usage` holds it."""

from audiobus import UsageTotal, UserRequest
from audiobus.usage_days import used_by_day


async def test_the_sum_of_each_day(bus):
    totals = (UsageTotal(20_000, "c/1", 700), UsageTotal(20_000, "d/2", 50), UsageTotal(20_002, "c/1", 9))
    await bus.look_up_user(UserRequest("u", 20_002, 0, totals))
    assert await used_by_day(bus, "u", [20_000, 20_001, 20_002]) == [750, None, 9]
    assert await used_by_day(bus, "v", [20_000]) == [None]
    assert await used_by_day(bus, "u", []) == []


async def test_what_is_no_number_is_not_counted_and_what_is_no_hash_is_not_known(bus):
    await bus.command("HSET", bus.keys.usage("u", 1), "c/1", "700", "c/2", "many", "c/3", "9" * 5_000)
    await bus.command("SET", bus.keys.usage("u", 2), "5")
    assert await used_by_day(bus, "u", [1, 2]) == [700, None]
