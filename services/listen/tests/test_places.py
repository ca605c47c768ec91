from contextlib import ExitStack

import pytest

from listen.errors import RefusedError
from listen.places import Limits, Places


def refusal(place) -> tuple[int, str]:
    with pytest.raises(RefusedError) as refused, place:
        pass
    assert refused.value.retry_after_s is not None
    assert refused.value.retry_after_s > 0
    return refused.value.status, refused.value.reason


def test_places_are_counted_and_given_back():
    places = Places(Limits(sockets=2, of_user=1))
    with places.place(""), places.place_of("a"), places.place(""), places.place_of("b"):
        assert (len(places), places.handshakes) == (2, 0)
        assert refusal(places.place("")) == (503, "sockets")
        assert refusal(places.place_of("a")) == (429, "sockets_of_user")
    assert (len(places), places.handshakes) == (0, 0)
    with places.place(""), places.place_of("a"):
        assert len(places) == 1


def test_handshakes_have_a_limit_of_their_own_which_ends_with_admission():
    places = Places(Limits(handshakes=1))
    with places.place(""):
        assert places.handshakes == 1
        assert refusal(places.place("")) == (503, "handshakes")
        with places.place_of("a"), places.place(""):
            assert (len(places), places.handshakes) == (2, 1)


def test_an_address_has_only_so_many_and_a_network_of_ipv6_counts_as_one():
    places = Places(Limits(of_address=2))
    with places.place("192.0.2.1"), places.place("192.0.2.1"), places.place("2001:db8::1"):
        assert refusal(places.place("192.0.2.1")) == (429, "sockets_of_address")
        assert refusal(places.place("::ffff:192.0.2.1")) == (429, "sockets_of_address")
        with places.place("2001:db8::2"):
            assert refusal(places.place("2001:db8::ffff")) == (429, "sockets_of_address")
            with places.place("2001:db8:0:1::1"), places.place("192.0.2.2"):
                assert len(places) == 6
    with places.place("192.0.2.1"):
        assert len(places) == 1


def test_who_is_not_known_by_address_is_not_counted_by_it():
    places = Places(Limits(of_address=1))
    with places.place(""), places.place("somewhere"), places.place(""):
        assert len(places) == 3


def test_nothing_is_remembered_of_those_that_have_gone():
    places = Places(Limits(of_address=5))
    for number in range(500):
        with ExitStack() as stack:
            stack.enter_context(places.place(f"192.0.2.{number % 250}"))
            stack.enter_context(places.place_of(f"user{number}"))
    assert not places._of_user
    assert not places._of_network
