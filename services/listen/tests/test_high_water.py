"""How full Redis is: what is said, and who is let in."""

import pytest

from listen.comeback import REDIS_FULL_S
from listen.errors import RefusedError
from listen.high_water import CHECK, HighWater
from servicekit.health import Health


@pytest.fixture
def health() -> Health:
    return Health()


def state(water: HighWater, health: Health) -> str:
    water.report(health)
    return health.checks[CHECK].state


def test_without_a_limit_all_is_well(health):
    water = HighWater(0.75)
    water.look(None)
    water.gate()
    assert state(water, health) == "ok"
    assert water.share == 0


def test_from_the_mark_on_it_warns_and_from_nine_tenths_on_nobody_comes_in(health):
    water = HighWater(0.75)
    water.look(0.74)
    assert state(water, health) == "ok"
    water.look(0.75)
    water.gate()
    assert state(water, health) == "warning"
    assert "75 %" in health.checks[CHECK].detail
    water.look(0.9)
    with pytest.raises(RefusedError) as refused:
        water.gate()
    assert (refused.value.status, refused.value.reason) == (503, "redis_full")
    assert REDIS_FULL_S[0] <= (refused.value.retry_after_s or 0) <= REDIS_FULL_S[1]
    assert state(water, health) == "warning"
    assert health.ready, "no other process is better off"
    assert "refused" in health.checks[CHECK].detail


def test_once_closed_it_opens_only_when_there_is_a_little_room():
    water = HighWater(0.75)
    water.look(0.91)
    water.look(0.89)
    assert water.full
    water.look(0.87)
    water.gate()
    water.look(0.89)
    water.gate()


def test_a_refused_write_closes_it_at_once(caplog):
    water = HighWater(0.75)
    water.refused()
    water.refused()
    with pytest.raises(RefusedError):
        water.gate()
    assert len(caplog.records) == 1
    water.look(0.5)
    water.gate()


def test_small_changes_say_nothing_new(health, caplog):
    water = HighWater(0.75)
    for share in (0.76, 0.761, 0.77):
        water.look(share)
        water.report(health)
    assert len(caplog.records) == 1
