"""Finds libopus and makes opuslib use the one that was found.

Owns the choice: `TAPEDECK_LIBOPUS`, else the newest of the system's and the copy that the PyAV wheel carries.
Must not do anything at import time, and never imports PyAV: it only looks where its wheel lies.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import importlib
import os
import re
import sys
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from audiocodec import pyav_wheel
from audiocodec.errors import LibopusError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VARIABLE = "TAPEDECK_LIBOPUS"
Source = Literal["env", "system", "pyav"]

_REMEDY = (
    f"install libopus (Debian: libopus0, macOS: brew install opus), or the PyAV wheel (pip install av), "
    f"or name the library's file in {VARIABLE}"
)
_importing = threading.Lock()


@dataclass(frozen=True, slots=True)
class Libopus:
    """A libopus that can be loaded."""

    path: str
    """What the dynamic loader takes: a file, or the system's soname."""
    version: tuple[int, ...]
    """As in (1, 6, 1); empty where the library says only "unknown"."""
    source: Source
    """Where it was found."""


def find(environ: Mapping[str, str] = os.environ) -> Libopus:
    """The libopus to use; LibopusError, which says what to do, where there is none.

    A library named in TAPEDECK_LIBOPUS is taken or refused, never passed over for another. Else the newest
    wins, and the system's where both are of one version. Loads each candidate to ask its version.
    """
    named = environ.get(VARIABLE, "")
    if named:
        try:
            return Libopus(named, _version(named), "env")
        except (OSError, AttributeError) as error:
            raise LibopusError(f"{VARIABLE} names {named!r}, which is no libopus: {error}") from error
    found: list[Libopus] = []
    failed: list[str] = []
    for path, source in _candidates():
        try:
            found.append(Libopus(path, _version(path), source))
        except (OSError, AttributeError) as error:
            failed.append(f"{path}: {error}")
    if not found:
        tried = "; ".join(failed) or "neither the system nor the PyAV wheel has one"
        raise LibopusError(f"found no libopus ({tried}): {_REMEDY}")
    return max(found, key=lambda candidate: candidate.version)


def wrong_libopus() -> Iterator[str]:
    """Why there is no libopus to use, one line at the most: for whoever reads settings."""
    try:
        find()
    except LibopusError as error:
        yield str(error)


@functools.cache
def load() -> Libopus:
    """Loads the libopus that `find` chooses, once per process; from then on `import opuslib` works with it.

    Where somebody has imported opuslib before, its library stays: states made by one libopus must never reach
    another. LibopusError where there is none, or where that one is not what TAPEDECK_LIBOPUS names.
    """
    with _importing:
        if "opuslib.api" in sys.modules:
            return _imported_before()
        found = find()
        _import_opuslib(found)
        return found


def _imported_before() -> Libopus:
    used = str(importlib.import_module("opuslib.api").libopus._name)  # noqa: SLF001 - CDLL has no public name
    named = os.environ.get(VARIABLE, "")
    if named not in ("", used):
        raise LibopusError(
            f"{VARIABLE} names {named!r}, but opuslib was imported before with {used!r}: "
            f"call audiocodec.libopus.load() first"
        )
    source: Source = "env" if named else "pyav" if Path(used) in pyav_copies() else "system"
    return Libopus(used, _version(used), source)


def _candidates() -> Iterator[tuple[str, Source]]:
    system = ctypes.util.find_library("opus")
    if system:
        yield system, "system"
    for path in pyav_copies():
        yield str(path), "pyav"


def pyav_copies() -> list[Path]:
    """The copies of libopus that an installed PyAV wheel carries; PyAV itself is not imported."""
    return pyav_wheel.libraries("opus")


def _version(path: str) -> tuple[int, ...]:
    """Loads a library and asks its version; OSError or AttributeError where it is no libopus."""
    ask = ctypes.CDLL(path).opus_get_version_string
    ask.restype = ctypes.c_char_p
    ask.argtypes = ()
    return parse_version((ask() or b"").decode("ascii", "replace"))


def parse_version(text: str) -> tuple[int, ...]:
    """(1, 3, 1) of "libopus 1.3.1-fixed"; () where there is no number ("libopus unknown")."""
    match = re.search(r"\d+(?:\.\d+)*", text)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def _import_opuslib(found: Libopus) -> None:
    """Imports opuslib, which asks ctypes.util.find_library, and only that, where libopus lies."""
    real = ctypes.util.find_library

    def find_library(name: str) -> str | None:
        return found.path if name == "opus" else real(name)

    ctypes.util.find_library = find_library
    try:
        with warnings.catch_warnings():
            # opuslib 3.0.1 compares with `is not 0`; where it is compiled anew Python warns of that
            warnings.simplefilter("ignore", SyntaxWarning)
            importlib.import_module("opuslib")
    finally:
        ctypes.util.find_library = real
