"""`Range`."""

import pytest

from servicekit.problem import ProblemError
from storage_api.byte_range import byte_range


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (None, None),
        ("bytes=0-", (0, 100)),
        ("bytes=0-0", (0, 1)),
        ("bytes=99-", (99, 100)),
        ("bytes=10-1000000000000", (10, 100)),
        ("bytes=-1", (99, 100)),
        ("bytes=-1000", (0, 100)),
        ("bytes=-", None),
        ("bytes=5-4", None),
        ("bytes=0-1,3-4", None),
        ("items=0-1", None),
        ("bytes= 0-1", None),
        ("bytes=a-b", None),
        ("bytes=0-99999999999999999999", (0, 100)),
        ("bytes=-" + "9" * 5000, (0, 100)),
        ("bytes=" + "0" * 5000 + "7-8", (7, 9)),
        ("Bytes=0-9", (0, 10)),
        ("bytes=\u0661-", None),
    ],
)
def test_ranges(header, wanted):
    assert byte_range(header, 100) == wanted


@pytest.mark.parametrize(
    "header", ["bytes=100-", "bytes=1000-2000", "bytes=-0", "bytes=99999999999999999999-"]
)
def test_what_does_not_exist_is_416_and_says_the_size(header):
    with pytest.raises(ProblemError) as caught:
        byte_range(header, 100)
    assert (caught.value.status, caught.value.headers["Content-Range"]) == (416, "bytes */100")
