import httpx
import pytest

from tapedeck import Retries
from tapedeck.storage.retries import Tries, retry_after_s

DATE = "Sat, 21 Nov 2026 00:00:00 GMT"


def answer(**headers):
    return httpx.Response(503, headers={name.replace("_", "-"): value for name, value in headers.items()})


def test_pauses_grow_up_to_a_limit_and_are_spread():
    retries = Retries(first_pause_s=1, longest_pause_s=4)
    assert [retries.pause_s(tried, 1.0) for tried in (1, 2, 3, 4, 2000)] == [1, 2, 4, 4, 4]
    assert [retries.pause_s(tried, 0.0) for tried in (1, 2, 3)] == [0.5, 1, 2]


def test_tries_count_together_and_end():
    tries = Tries(Retries(times=3, first_pause_s=1, refused_for_s=0), lambda: 1.0)
    assert [tries.pause_s(), tries.refused_pause_s(10, 0), tries.pause_s()] == [1, 12, 4]
    assert tries.pause_s() is tries.refused_pause_s(0, 0) is None
    assert Tries(Retries(times=0), lambda: 1.0).pause_s() is None


def test_a_server_that_does_not_say_when_or_asks_for_too_much_is_not_asked_again():
    tries = Tries(Retries(times=1), lambda: 0.0)
    assert tries.refused_pause_s(None, 0) is tries.refused_pause_s(61, 0) is None
    assert tries.refused_pause_s(60, 0) == 60.125  # those cost no try


@pytest.mark.parametrize("times", [1, 4])
@pytest.mark.parametrize("answer_s", [0.01, 5.0])
@pytest.mark.parametrize("dice", [0.0, 1.0])
def test_a_bucket_that_is_away_for_a_minute_is_outlasted(times, answer_s, dice):
    tries, now_s = Tries(Retries(times=times), lambda: dice), answer_s
    while (pause_s := tries.refused_pause_s(2, now_s)) is not None:
        now_s += pause_s + answer_s
        assert pause_s >= 2
    assert 60 <= now_s < 80


def test_who_is_told_to_come_back_is_patient_from_the_first_refusal_on():
    tries = Tries(Retries(times=1), lambda: 0.0)
    assert tries.refused_pause_s(0, 1000) == 0.125
    assert tries.refused_pause_s(0, 1059) == 0.25
    assert tries.refused_pause_s(0, 1061) is None
    assert Tries(Retries(times=0), lambda: 0.0).refused_pause_s(0, 0) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry_After": "7"}, 7),
        ({"Retry_After": " 7 "}, 7),
        ({"Retry_After": "Sat, 21 Nov 2026 00:00:05 GMT", "Date": DATE}, 5),
        ({"Retry_After": "Fri, 20 Nov 2026 00:00:05 GMT", "Date": DATE}, 0),
        ({"Retry_After": DATE}, None),
        ({"Retry_After": "soon", "Date": DATE}, None),
        ({"Retry_After": "-1"}, None),
        ({"Retry_After": "٣"}, None),
        ({}, None),
    ],
)
def test_retry_after(headers, seconds):
    try:
        given = answer(**headers)
    except UnicodeEncodeError:
        given = httpx.Response(503, headers=[(b"Retry-After", headers["Retry_After"].encode())])
    assert retry_after_s(given) == seconds
