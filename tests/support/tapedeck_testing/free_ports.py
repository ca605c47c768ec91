"""Ports for servers that are told theirs by number."""

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

LOWEST, HIGHEST = 11_000, 20_999
"""Neither these nor their cluster bus ports (plus 10,000) lie where Linux takes the ports of outgoing connections from (32,768 on)."""

_BUS = 10_000
_locks: list[int] = []
"""Kept until the process ends: other processes of the test run take other ports, also while a server of this one is down."""


def free_port() -> int:
    """A port that nothing listens on and no other process of tests has been given, nor its cluster bus port.

    Raises:
        RuntimeError: none of a thousand tries was free.
    """
    for _ in range(1000):
        port = random.randint(LOWEST, HIGHEST)
        if _locked(port) and _unused(port) and _unused(port + _BUS):
            return port
    raise RuntimeError(f"no free port from {LOWEST} to {HIGHEST}")


def _locked(port: int) -> bool:
    folder = Path(tempfile.gettempdir()) / f"tapedeck-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    lock = os.open(folder / str(port), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return False
    _locks.append(lock)
    return True


def _unused(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
