from uuid import uuid4

from listen.comeback import REDIS_AWAY_S, reconnect_after_ms, retry_after_ms, retry_after_s


def test_everybody_gets_a_moment_of_its_own_within_the_span():
    owners = [uuid4().hex for _ in range(1_000)]
    moments = [retry_after_ms(REDIS_AWAY_S, owner) for owner in owners]
    assert all(5_000 <= moment < 15_000 for moment in moments)
    seconds = [sum(moment // 1_000 == second for moment in moments) for second in range(5, 15)]
    assert max(seconds) < 2 * len(moments) / len(seconds)
    assert moments == [retry_after_ms(REDIS_AWAY_S, owner) for owner in owners]


def test_handshakes_and_drains_are_spread_too():
    assert {retry_after_s((3, 6)) for _ in range(200)} == {3, 4, 5, 6}
    assert len({reconnect_after_ms() for _ in range(200)}) > 100
