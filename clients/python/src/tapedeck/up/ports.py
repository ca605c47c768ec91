"""Ports that stay ours while children come and go.

A port is held by a socket of the parent that is bound and never listens, with SO_REUSEADDR and SO_REUSEPORT, so that
children can bind and listen on it, one or several, and nobody else gets it while none of them lives. Chosen ports lie
outside the range from which the kernel takes ports for outgoing connections: a client that tries to reach a dead
server's port can otherwise be given that very port, and connect to itself.
"""

import random
import socket
from pathlib import Path

from tapedeck.errors import PortTakenError

LOOPBACK = "127.0.0.1"
_RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 10240
_HIGHEST = 32000
_TRIES = 200


class HeldPort:
    """A port of this process, until `release`."""

    def __init__(self, bound: socket.socket) -> None:
        self._socket = bound
        self.host: str = bound.getsockname()[0]
        self.number: int = bound.getsockname()[1]

    @property
    def bind(self) -> str:
        """host:port, as settings have it."""
        return f"{self.host}:{self.number}"

    def release(self) -> None:
        """Let it go."""
        self._socket.close()


def hold(host: str, wanted: int, kept: int | None = None) -> HeldPort:
    """Hold a port: `wanted`, or any if that is 0, then if it is free the one that was `kept` from an earlier start.

    Raises PortTakenError where `wanted` belongs to somebody else.
    """
    if wanted != 0:
        bound = _bind(host, wanted)
        if bound is None:
            raise PortTakenError(
                f"port {wanted} on {host} is taken",
                hint="stop what uses it, or choose another one (--listen-port, --storage-port; 0 takes any)",
            )
        return HeldPort(bound)
    if kept and (bound := _bind(host, kept)) is not None:
        return HeldPort(bound)
    for number in _candidates():
        bound = _bind(host, number, fresh=True)
        if bound is not None:
            return HeldPort(bound)
    raise PortTakenError(f"no free port was found on {host}")


def free_port(host: str, kept: int | None) -> int:
    """A port for a server that can't share it with a holder (Redis): free now, and the kept one if that is."""
    held = hold(host, 0, kept)
    held.release()
    return held.number


def _candidates() -> list[int]:
    try:
        lowest_ephemeral = int(_RANGE_FILE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        lowest_ephemeral = _HIGHEST  # not Linux: others begin at 49152 (RFC 6335 §6)
    highest = min(lowest_ephemeral, _HIGHEST) if lowest_ephemeral > _LOWEST + _TRIES else _HIGHEST
    return random.sample(range(_LOWEST, highest), _TRIES)


def _bind(host: str, number: int, *, fresh: bool = False) -> socket.socket | None:
    """Bind so that a listening socket of anybody is a conflict, and only then allow sharing.

    With `fresh` a port that anybody holds, listening or not, is one too: another holder, here or in another process.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        # What a former server left in TIME_WAIT is no conflict on a port that was ours before.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0 if fresh else 1)
        bound.bind((host, number))
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except OSError:
        bound.close()
        return None
    return bound
