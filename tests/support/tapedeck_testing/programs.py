"""The fixture `program`: players and tools that judge what we write."""

import os
import shutil
import subprocess
from collections.abc import Callable

import pytest


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """Finds a program that runs, by name; skips where there is none, and fails instead where `CI=true`."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            reason = f"{name} is not on PATH"
        elif not runs(path):
            reason = f"{path} does not run: a library of it is missing"
        else:
            return path
        if os.environ.get("CI") == "true":
            pytest.fail(f"{reason}; CI must have it")
        pytest.skip(reason)

    return find


def runs(path: str) -> bool:
    """Whether it starts at all; 127 is what the dynamic linker ends with."""
    ended = subprocess.run([path, "-version"], capture_output=True, check=False, timeout=30)
    return ended.returncode != 127
