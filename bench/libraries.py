"""Every libopus on this machine, told apart by version. Owns the question; which one is used is decided in `audiocodec.libopus`."""

import ctypes.util
from dataclasses import dataclass

from audiocodec import libopus


@dataclass(frozen=True, slots=True)
class Library:
    """One of them."""

    path: str
    version: tuple[int, ...]

    def __str__(self) -> str:
        name = self.path.rpartition("/")[2]
        return f"libopus {'.'.join(map(str, self.version))} ({name})"


def found() -> list[Library]:
    """The one that audiocodec uses first, then all others, the newest first."""
    used = libopus.load()
    system = ctypes.util.find_library("opus")
    paths = [*([system] if system else []), *map(str, libopus.pyav_copies())]
    others = [libopus.find({libopus.VARIABLE: path}) for path in paths if path != used.path]
    others.sort(key=lambda library: library.version, reverse=True)
    return [Library(library.path, library.version) for library in (used, *others)]
