import pytest

from listen.errors import RefusedError
from listen.ticket_rate import TICKETS_MOST, USERS_LIMIT, WITHIN_S, TicketRate


def test_a_user_gets_so_many_and_so_many_again_and_others_theirs():
    rate = TicketRate()
    for at_s in (100.0, 100.0 + WITHIN_S):
        for _ in range(TICKETS_MOST):
            rate.take("alice", at_s)
        with pytest.raises(RefusedError) as caught:
            rate.take("alice", at_s)
        assert (caught.value.status, caught.value.code, caught.value.reason) == (
            429,
            "limit",
            "tickets_of_user",
        )
        assert caught.value.retry_after_s
        rate.take("bob", at_s)


def test_many_users_take_bounded_memory():
    rate = TicketRate()
    for number in range(USERS_LIMIT + 100):
        rate.take(f"u{number}", 100.0)
    assert len(rate) == USERS_LIMIT
