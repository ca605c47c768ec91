"""`If-None-Match` and `If-Range`."""

import pytest

from storage_api.validators import is_known, listed, range_holds, still_stands


@pytest.mark.parametrize(
    ("header", "known"),
    [
        (None, False),
        ("", False),
        ('"a"', True),
        ('W/"a"', True),
        (' "b" ,\t"a" ', True),
        ('"b", , "a"', True),
        ('"b,", "a"', True),
        ("*", True),
        ('"b"', False),
        ('"ab"', False),
        ("a", False),
        ('"a", b', False),
        ('"a"b"', False),
        ('"b" "a"', False),
        ("*, *", False),
        ('"a' + "," * 30_000, False),
    ],
)
def test_if_none_match(header, known):
    assert is_known(header, '"a"') is known


@pytest.mark.parametrize(
    ("header", "stands"),
    [
        (None, True),
        ('"a"', True),
        ('"b", "a"', True),
        ("*", True),
        ('W/"a"', False),
        ('"b"', False),
        ('"b, "', False),
        ("", False),
        ("a", False),
        ('"a' + "," * 30_000, False),
    ],
)
def test_if_match(header, stands):
    assert still_stands(header, '"a"') is stands


def test_a_list_may_come_in_several_lines():
    assert listed([]) is None
    assert is_known(listed(['"b"', '"a"']), '"a"')


@pytest.mark.parametrize(
    ("header", "holds"),
    [
        (None, True),
        ('"a"', True),
        (' "a"', True),
        ('W/"a"', False),
        ('"b"', False),
        ("", False),
        ("*", False),
        ("Wed, 21 Oct 2015 07:28:00 GMT", False),
    ],
)
def test_if_range(header, holds):
    assert range_holds(header, '"a"') is holds
