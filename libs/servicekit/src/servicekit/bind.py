"""Addresses to listen on, and the sockets bound to them.

Owns the form `host:port` of settings, and sockets that are bound before anything else starts, so that port 0 works
and the real port is known. Must not accept connections: that is `http`'s and the services' own work.
"""

import ipaddress
import socket
from typing import Self

import msgspec

from servicekit.errors import BindError

BACKLOG = 2048  # waiting connections; a rollout brings thousands at once, and the kernel caps it at somaxconn


class Bind(msgspec.Struct, frozen=True):
    """Where to listen: `host` (an address, or a name such as localhost) and `port` (0: any free one)."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """`127.0.0.1:8080`, `[::1]:8080`, `localhost:0`, `:8080` (all IPv4 addresses). ValueError says what is wrong."""
        host, colon, port = text.rpartition(":")
        if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
            raise ValueError("must be host:port, with a port from 0 to 65535")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ValueError("must have its IPv6 address in brackets: [::1]:8080")
        if any(character.isspace() or character in "[]/" for character in host):
            raise ValueError("must be host:port")
        return cls(host or "0.0.0.0", int(port))  # noqa: S104 - an empty host asks for all addresses

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it. A name other than localhost is not trusted to be."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def overlaps(self, other: "Bind") -> bool:
        """Whether only one of both can be listened on. Of names localhost alone is known to be an address."""
        if self.port != other.port or self.port == 0:
            return False
        ours, theirs = ("127.0.0.1" if one.host == "localhost" else one.host for one in (self, other))
        of_all = "0.0.0.0"  # noqa: S104 - compared, not bound
        if ours == theirs or "::" in (ours, theirs):
            return True
        return (ours == of_all and ":" not in theirs) or (theirs == of_all and ":" not in ours)

    def url(self, scheme: str = "http") -> str:
        """The address for a client on this machine; for a wildcard address that is the loopback one."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return f"{scheme}://{Bind(host, self.port)}"

    def __str__(self) -> str:
        """The form that `parse` reads."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def bind_socket(bind: Bind, *, reuse_port: bool = False) -> socket.socket:
    """A TCP socket bound to `bind`, not yet listening (connections are refused until it is); BindError where that fails.

    With `reuse_port` several processes may hold the same address, and the kernel spreads connections over those that listen
    (SO_REUSEPORT): one process a core. Without it a second process is an error, as it should be for an admin port.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            bind.host, bind.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise BindError(f"cannot listen on {bind}: {error}") from error
    try:
        bound.setblocking(False)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1 if bind.host != "::" else 0)
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted sockets inherit it
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise BindError(f"cannot listen on {bind}: {error}") from error
    return bound


def bound_to(bound: socket.socket) -> Bind:
    """The address that a socket is really bound to: with the port that the kernel chose for port 0."""
    host, port, *_ = bound.getsockname()
    return Bind(host, port)
