"""How long a request has lain in the kernel."""

import socket
import sys
import time

import pytest

from listen.arrival import lain_ms


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says so")
def test_it_is_known_since_when_bytes_lie_there():
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        taken, _ = server.accept()
        with taken:
            client.sendall(b"GET")
            taken.recv(1, socket.MSG_PEEK)
            sent = time.monotonic()
            while lain_ms(taken) < 60:
                assert time.monotonic() < sent + 20
            assert taken.recv(3) == b"GET"
            assert lain_ms(taken) >= 60  # reading changes nothing


def test_nothing_has_lain_longer_than_since_it_was_sent():
    """The kernel counts in ticks: of two sockets that come some ms apart, the later one must not seem the earlier."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        taken, _ = server.accept()
        with taken:
            for _ in range(2_000):
                before = time.monotonic()
                client.sendall(b"G")
                taken.recv(1)
                lain = lain_ms(taken)
                assert lain <= 1000 * (time.monotonic() - before)


def test_what_is_no_tcp_socket_has_come_now():
    one, two = socket.socketpair()
    with one, two:
        assert lain_ms(one) == 0
    assert lain_ms(one) == 0
    assert lain_ms(None) == 0
