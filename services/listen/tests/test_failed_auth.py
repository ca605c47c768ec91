import pytest

from listen.errors import RefusedError
from listen.failed_auth import FAILURES, NETWORKS_LIMIT, WITHIN_S, FailedAuth


@pytest.fixture
def failed() -> FailedAuth:
    return FailedAuth()


def guess(failed: FailedAuth, address: str, now_s: float) -> bool:
    """Whether a guess was looked at; it fails then."""
    try:
        failed.check(address, now_s)
    except RefusedError as error:
        assert (error.status, error.reason) == (429, "failed_auth")
        assert error.retry_after_s is not None
        return False
    failed.failed(address, now_s)
    return True


def test_so_many_at_once_and_then_no_faster_than_that(failed):
    assert [guess(failed, "192.0.2.1", 100.0) for _ in range(FAILURES + 5)] == [True] * FAILURES + [False] * 5
    looked_at = sum(guess(failed, "192.0.2.1", 100 + tenth / 10) for tenth in range(1, 1_001))
    assert looked_at == pytest.approx(100 * FAILURES / WITHIN_S, abs=1)


def test_all_is_forgiven_after_a_while(failed):
    for _ in range(FAILURES):
        assert guess(failed, "192.0.2.1", 100.0)
    assert not guess(failed, "192.0.2.1", 100.1)
    later_s = 100.1 + WITHIN_S
    assert [guess(failed, "192.0.2.1", later_s) for _ in range(FAILURES + 1)] == [True] * FAILURES + [False]


def test_others_are_not_held_back_but_a_network_of_ipv6_is_one(failed):
    while guess(failed, "2001:db8::1", 100.0):
        pass
    assert not guess(failed, "2001:db8::2", 100.0)
    assert guess(failed, "2001:db8:0:1::1", 100.0)
    assert guess(failed, "192.0.2.1", 100.0)


def test_who_is_not_known_is_never_held_back_and_never_remembered(failed):
    assert all(guess(failed, "", 100.0) for _ in range(10 * FAILURES))
    assert len(failed) == 0


def test_many_addresses_take_bounded_memory(failed):
    for number in range(3 * NETWORKS_LIMIT):
        failed.failed(f"2001:db8:{number:x}::1", 100.0)
    assert len(failed) == NETWORKS_LIMIT
