import socket

import pytest

from servicekit.bind import Bind, bind_socket, bound_to
from servicekit.errors import BindError


@pytest.mark.parametrize(
    ("text", "bind"),
    [
        ("127.0.0.1:8080", Bind("127.0.0.1", 8080)),
        ("[::1]:0", Bind("::1", 0)),
        (":9090", Bind("0.0.0.0", 9090)),
        ("localhost:1", Bind("localhost", 1)),
    ],
)
def test_parse(text, bind):
    assert Bind.parse(text) == bind
    assert Bind.parse(str(bind)) == bind


@pytest.mark.parametrize(
    "text", ["", "8080", "host", "h:65536", "h:-1", "h:", "::1:80", "h h:1", "http://h:1", "h:٣"]
)
def test_parse_refuses(text):
    with pytest.raises(ValueError, match=r"^must "):
        Bind.parse(text)


def test_urls_are_for_clients():
    assert Bind("0.0.0.0", 80).url() == "http://127.0.0.1:80"
    assert Bind("::1", 80).url("ws") == "ws://[::1]:80"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_port_0_is_known_after_binding(host):
    with bind_socket(Bind(host, 0)) as bound:
        assert bound_to(bound).port > 0
        assert bound_to(bound).loopback


def test_two_processes_share_a_port_only_where_both_ask_for_it():
    with bind_socket(Bind("127.0.0.1", 0), reuse_port=True) as first:
        with bind_socket(bound_to(first), reuse_port=True) as second:
            assert bound_to(first) == bound_to(second)
        first.listen()
        with pytest.raises(BindError, match=r"cannot listen on 127\.0\.0\.1"):
            bind_socket(bound_to(first))


def test_an_address_that_is_not_ours():
    with pytest.raises(BindError, match=r"cannot listen on 192\.0\.2\.1:0"):
        bind_socket(Bind("192.0.2.1", 0))


def test_a_bound_socket_does_not_take_connections_yet(bound):
    with bound, socket.socket() as client, pytest.raises(ConnectionRefusedError):
        client.connect(bound.getsockname())


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("127.0.0.1:80", "127.0.0.1:80", True),
        ("127.0.0.1:80", "127.0.0.1:81", False),
        ("127.0.0.1:80", "127.0.0.2:80", False),
        ("0.0.0.0:80", "127.0.0.1:80", True),
        ("[::]:80", "127.0.0.1:80", True),
        (":80", "[::]:80", True),
        ("localhost:80", "127.0.0.1:80", True),
        ("[::1]:80", "127.0.0.1:80", False),
        ("[::1]:80", "0.0.0.0:80", False),
        ("[::1]:80", "[::]:80", True),
        ("127.0.0.1:0", "127.0.0.1:0", False),
    ],
)
def test_whether_both_can_be_listened_on(one, other, overlap):
    one, other = Bind.parse(one), Bind.parse(other)
    assert one.overlaps(other) == other.overlaps(one) == overlap
