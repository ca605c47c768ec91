import json
from contextlib import ExitStack

import pytest
from websockets.exceptions import InvalidStatus

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
        assert (len(places), places.admitted, places.handshakes) == (2, 2, 0)
        assert refusal(places.place("")) == (503, "sockets")
        assert refusal(places.place_of("a")) == (429, "sockets_of_user")
    assert (len(places), places.handshakes) == (0, 0)
    with places.place(""), places.place_of("a"):
        assert len(places) == 1


def test_who_stood_apart_finds_no_room_where_others_came_meanwhile():
    places = Places(Limits(sockets=2))
    with places.place(""):
        with places.apart(), places.place(""), places.place_of("a"), places.place(""), places.place_of("b"):
            assert refusal(places.place_of("c")) == (503, "sockets")
        with places.place_of("c"):
            assert places.admitted == 1


def test_who_replaces_a_socket_is_let_in_where_all_are_taken_but_for_no_more_than_there_are():
    places = Places(Limits(of_user=2))
    with ExitStack() as stack:
        stack.enter_context(places.place_of("a"))
        assert not places.full("a")
        stack.enter_context(places.place_of("a"))
        assert places.full("a")
        assert not places.full("b")
        assert refusal(places.place_of("a")) == (429, "sockets_of_user")
        for _ in range(2):
            stack.enter_context(places.place_of("a", replaces=True))
        assert refusal(places.place_of("a", replaces=True)) == (429, "sockets_of_user")
    assert not places.full("a")


def test_who_stands_apart_is_counted_elsewhere():
    places = Places(Limits(sockets=1, handshakes=1))
    with places.place(""):
        with places.apart():
            assert (len(places), places.handshakes) == (1, 0)
            with places.place(""):
                assert refusal(places.place("")) == (503, "sockets")
        assert (len(places), places.handshakes) == (1, 1)


def test_handshakes_have_a_limit_of_their_own_which_ends_with_admission():
    places = Places(Limits(handshakes=1))
    with places.place(""):
        assert (places.admitted, places.handshakes) == (0, 1)
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


async def test_a_device_whose_old_sockets_are_half_open_always_comes_back(service, raw):
    """Its network leaves nothing of the old ones: they read nothing, and answer no close."""
    await raw("codec=opus&conversation_id=other")
    for _ in range(18):
        await raw("codec=opus")
    session, times = "", 0
    while times < 50:
        device, _ = await raw(f"codec=opus&conversation_id=device&session={session}")
        first = json.loads((await device.read_frame())[1])
        if first["type"] == "error":  # so soon that it is not known which of the two came last
            assert first["code"] == "unavailable"
            continue
        assert session in ("", first["session"])
        session = first["session"]
        times += 1
    # All others of the user are there, and one that replaces none of them is one too many.
    assert (await service.metrics())['tapedeck_closes_total{code="4409"}'] == 49
    with pytest.raises(InvalidStatus) as refused:
        async with service.connect("conversation_id=new"):
            pass
    assert refused.value.response.status_code == 429
