"""Times in and out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage_api.moments import parse_moment, rfc3339, rfc3339_ms, unix_seconds
from storage_api.older_sound import nearest


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("1700000000", 1_700_000_000),
        ("1700000000.250", 1_700_000_000.25),
        ("2023-11-14T22:13:20Z", 1_700_000_000),
        ("2023-11-14t22:13:20.250z", 1_700_000_000.25),
        ("2023-11-14 22:13:20Z", 1_700_000_000),
        ("2023-11-14T23:13:20+01:00", 1_700_000_000),
        ("2023-11-14T23:13:20 01:00", 1_700_000_000),
        ("2023-11-14T17:43:20-04:30", 1_700_000_000),
        ("2016-12-31T23:59:60Z", 1_483_228_800),
    ],
)
def test_both_forms_are_read_exactly(text, seconds):
    assert parse_moment(text) == int(seconds * 48_000)


@given(st.integers(0, 10**16), st.sampled_from([48_000, 16_000]))
def test_what_is_finer_than_a_sample_is_rounded_once_to_the_nearest(at_ns, rate):
    """At 16 kHz, which older audio has, too: what is rounded to 48 kHz on the way is not rounded to another sample."""
    at = parse_moment(f"{at_ns // 10**9}.{at_ns % 10**9:09d}")
    exact = (2 * at_ns * rate + 10**9) // (2 * 10**9)  # halves up
    assert (at if rate == 48_000 else nearest(at)) == exact


def test_the_last_moment_does_not_become_a_second_that_cannot_be_said():
    last = parse_moment("99999999999.999999999")
    assert parse_moment(unix_seconds(last // 48)) == last // 48 * 48


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "now", "-1", "+1", "1e9", "nan", "inf", "0x10", "1.", ".5", "1.0000000001", "1_000", "١٢٣", "1700000000\n",
        "999999999999", "2023-11-14", "2023-11-14T22:13:20", "2023-11-14T22:13Z", "2023-02-30T00:00:00Z",
        "2023-11-14T24:00:00Z", "2023-11-14T22:13:20+24:00", "2023-11-14T22:60:00Z", "2023-11-14T22:13:61Z", "1969-12-31T23:59:59Z",
        "0001-01-01T00:00:00+23:59", "2023-11-14T22:13:20+25:00", "2023-11-14T22:13:20Z ",
    ],
)  # fmt: skip
def test_what_is_neither_is_refused(text):
    with pytest.raises(ValueError, match=r"must be RFC|must lie|is no moment"):
        parse_moment(text)


@pytest.mark.parametrize("text", ["1969-12-31T23:59:59Z", "5139-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_a_moment_that_no_name_can_hold_is_told_which_can(text):
    with pytest.raises(ValueError, match="between 1970 and 5138"):
        parse_moment(text)


@given(st.integers(0, 4_102_444_800_000))
def test_what_goes_out_comes_in_again(at_ms):
    assert parse_moment(rfc3339_ms(at_ms)) == at_ms * 48
    assert parse_moment(unix_seconds(at_ms)) == at_ms * 48
    assert rfc3339(at_ms * 48 + 47) == rfc3339_ms(at_ms)
