import pytest

from audiostore.key_ring import KeyRing
from tapedeck.operators.key_report import Older, Row, report
from tapedeck.operators.key_usage import KeyUsage, Usage

RING = KeyRing({"k3": b"3" * 32, "k2": b"2" * 32, "k1": b"1" * 32})


def test_keys_of_the_ring_come_first_and_what_it_lacks_after_them():
    usage = KeyUsage({"k0": Usage(1, "a", "b"), "k2": Usage(2, "c", "d"), "k00": Usage(1, "e", "e")})
    found = report(usage, RING, older_secret=False)
    assert found.keys == (
        Row("k3", True, True, 0, "", ""),
        Row("k2", True, False, 2, "c", "d"),
        Row("k1", True, False, 0, "", ""),
        Row("k0", False, False, 1, "a", "b"),
        Row("k00", False, False, 1, "e", "e"),
    )
    assert [row.state for row in found.keys] == ["seals", "opens", "not in use", *["NOT IN THE RING"] * 2]
    assert found.missing == ("k0", "k00")
    assert not found.ok


@pytest.mark.parametrize(
    ("keys", "older", "secret", "ok"),
    [
        ({}, 0, False, True),
        ({"k1": Usage(1, "a", "a")}, 0, False, True),
        ({"k1": Usage(1, "a", "a")}, 2, False, False),
        ({}, 2, True, True),
        ({"k4": Usage(1, "a", "a")}, 2, True, False),
    ],
)
def test_it_is_well_where_whatever_seals_an_object_is_at_hand(keys, older, secret, ok):
    found = report(KeyUsage(keys, Usage(older, "x", "y")), RING, older_secret=secret)
    assert found.ok is ok
    assert found.older == Older(secret, older, "x", "y")


def test_without_a_ring_every_key_is_missing():
    found = report(KeyUsage({"k1": Usage(1, "a", "a")}), KeyRing.empty, older_secret=False)
    assert (found.missing, found.ok) == (("k1",), False)
    assert report(KeyUsage(), KeyRing.empty, older_secret=False).ok
