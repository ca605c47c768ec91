import pytest

from listen.leaky_buckets import LeakyBuckets


def test_so_many_at_once_then_evenly_and_after_a_while_all_again():
    buckets = LeakyBuckets(4, 8.0, 10)

    def take(now_s: float) -> bool:
        if buckets.full("a", now_s):
            return False
        buckets.add("a", now_s)
        return True

    assert [take(100.0) for _ in range(5)] == [True] * 4 + [False]
    assert sum(take(100 + tenth / 10) for tenth in range(1, 801)) == pytest.approx(40, abs=1)
    assert [take(200.0) for _ in range(5)] == [True] * 4 + [False]


def test_names_do_not_share_and_the_latest_are_remembered():
    buckets = LeakyBuckets(1, 8.0, 3)
    for name in "abcd":
        assert not buckets.full(name, 100.0)
        buckets.add(name, 100.0)
    assert len(buckets) == 3
    assert [buckets.full(name, 100.1) for name in "abcd"] == [False, True, True, True]


def test_a_flood_that_was_under_way_is_no_debt():
    buckets = LeakyBuckets(4, 8.0, 10)
    for _ in range(1_000):
        buckets.add("a", 100.0)
    assert buckets.full("a", 101.9)
    assert not buckets.full("a", 102.0)
    assert not buckets.full("a", 108.0)


def test_what_did_not_happen_is_taken_back():
    buckets = LeakyBuckets(2, 8.0, 10)
    for _ in range(2):
        buckets.add("a", 100.0)
    assert buckets.full("a", 100.0)
    buckets.take_back("a")
    assert not buckets.full("a", 100.0)
    buckets.take_back("nobody")
    assert len(buckets) == 1
