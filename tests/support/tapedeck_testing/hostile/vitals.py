"""What a process holds, seen from outside: memory, descriptors, and what its metrics say of sockets and tasks.

Must not know why.
"""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil  # type: ignore[import-untyped] # it ships no types

from tapedeck_testing.hostile.peer import Peer

MIB: Final = 1024 * 1024
SOCKETS: Final = ("tapedeck_connections", "tapedeck_handshakes", "tapedeck_strangers")
TASKS: Final = "tapedeck_event_loop_tasks"


@dataclass(frozen=True, slots=True)
class Vitals:
    """One look at a process."""

    memory_bytes: int
    """Resident."""
    descriptors: int
    """Open ones, without the connections to Redis: that pool grows under load and is kept."""
    threads: int
    connections: int
    """Open sockets and handshakes, as its own metrics say."""
    tasks: int
    """Tasks of its event loop."""


async def look(pid: int, admin_port: int, *, redis_port: int | None = None) -> Vitals:
    """Looks once. The look itself costs the process a connection and a task; so does every other look."""
    said = await metrics(admin_port)
    process = psutil.Process(pid)
    with process.oneshot():
        descriptors = process.num_fds()
        if redis_port is not None:
            remote = (link.raddr.port for link in process.net_connections("tcp") if link.raddr)
            descriptors -= sum(port == redis_port for port in remote)
        return Vitals(
            memory_bytes=process.memory_info().rss,
            descriptors=descriptors,
            threads=process.num_threads(),
            connections=int(sum(said.get(name, 0) for name in SOCKETS)),
            tasks=int(said[TASKS]),
        )


async def metrics(admin_port: int) -> dict[str, float]:
    """What it says of itself, by series."""
    async with await Peer.connect(admin_port) as peer:
        await peer.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        heard = await peer.ending()
    lines = (line for line in heard.body.decode().splitlines() if not line.startswith("#"))
    pairs = (line.rpartition(" ") for line in lines)
    return {name: float(value) for name, _, value in pairs}


def forget_peak(pid: int) -> None:
    """Has the kernel measure the highest memory anew, where it can (Linux)."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_bytes(pid: int) -> int:
    """The highest resident memory since; 0 where the kernel does not say."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0
