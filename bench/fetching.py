"""One request to a server under measurement, and what it took.

Owns the client: plain, one connection a request, in this process. What is read is given up.
"""

import http.client
import time
from dataclasses import dataclass
from pathlib import Path

from bench.process import BenchError, Process
from bench.stored_recording import UID
from tapedeck.up.ports import LOOPBACK

PIECE_BYTES = 1024 * 1024
PATIENCE_S = 300


@dataclass(frozen=True, slots=True)
class Fetched:
    """One answer."""

    first_s: float
    """Until the first byte of its body was there."""
    wall_s: float
    """Until the last was."""
    cpu_s: float
    """Of the server."""
    size: int
    """Bytes of the body."""


def conversation(cid: str) -> str:
    """The path of a stored recording."""
    return f"/v1/users/{UID}/conversations/{cid}"


def fetch(
    process: Process,
    port: int,
    path: str,
    token: str = "",
    into: Path | None = None,
    *,
    method: str = "GET",
    most_bytes: int | None = None,
) -> Fetched:
    """A request; its body is kept only where `into` says so, and left after `most_bytes`. BenchError where it is not answered with 200."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=PATIENCE_S)
    piece = memoryview(bytearray(PIECE_BYTES))
    cpu_s, began = process.cpu_s, time.perf_counter()
    connection.request(method, path, headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    if answer.status != 200:
        raise BenchError(f"{path} answered {answer.status}: {answer.read()[:500]!r}")
    size, first_s = 0, 0.0
    pieces: list[bytes] = []
    while got := answer.readinto(piece if size else piece[:1]):
        first_s = first_s or time.perf_counter() - began
        size += got
        if into is not None:
            pieces.append(bytes(piece[:got]))
        if most_bytes is not None and size >= most_bytes:
            break
    wall_s, cpu_s = time.perf_counter() - began, process.cpu_s - cpu_s
    connection.close()
    if into is not None:
        into.write_bytes(b"".join(pieces))
    return Fetched(first_s, wall_s, cpu_s, size)
