import pytest

from listen.pressure import MAX_WAITING_BYTES, MAX_WAITING_SAMPLES, Pressure
from listen.upcoming import MAX_UPCOMING


@pytest.mark.parametrize(("samples", "size"), [(MAX_WAITING_SAMPLES, 0), (0, MAX_WAITING_BYTES)])
def test_a_full_socket_is_not_read_until_half_of_it_is_gone(samples, size):
    pressure = Pressure()
    assert pressure.judge(samples - 1, size - 1, failing=False) is None
    assert pressure.reading
    assert pressure.judge(samples, size, failing=False) is True
    assert not pressure.reading
    assert pressure.judge(samples - samples // 4, size - size // 4, failing=False) is None
    assert not pressure.reading
    assert pressure.judge(samples // 2, size // 2, failing=False) is False
    assert pressure.reading


def test_a_redis_that_fails_is_told_once_and_its_return_too():
    pressure = Pressure()
    assert pressure.judge(1, 1, failing=True) is True
    assert pressure.judge(1, 1, failing=True) is None
    assert pressure.reading
    assert pressure.judge(1, 1, failing=False) is False


def test_where_the_process_has_little_room_a_socket_may_hold_less():
    pressure = Pressure(allowance_bytes=1_000)
    assert pressure.judge(0, 999, failing=False) is None
    assert pressure.judge(0, 1_000, failing=False) is True
    assert pressure.judge(0, 501, failing=False) is None
    assert pressure.judge(0, 500, failing=False) is False
    pressure.allowance_bytes = 0
    assert pressure.judge(0, 0, failing=False) is True
    assert not pressure.reading
    pressure.allowance_bytes = 10 * MAX_WAITING_BYTES
    assert pressure.judge(0, MAX_WAITING_BYTES // 2, failing=False) is False
    assert pressure.judge(0, MAX_WAITING_BYTES, failing=False) is True


def test_a_socket_that_names_many_conversations_ahead_is_not_read_until_half_of_them_are_open():
    pressure = Pressure()
    assert pressure.judge(0, 0, failing=False, upcoming=MAX_UPCOMING - 1) is None
    assert pressure.judge(0, 0, failing=False, upcoming=MAX_UPCOMING) is True
    assert not pressure.reading
    assert pressure.judge(0, 0, failing=False, upcoming=MAX_UPCOMING // 2 + 1) is None
    assert pressure.judge(0, 0, failing=False, upcoming=MAX_UPCOMING // 2) is False
    assert pressure.reading
