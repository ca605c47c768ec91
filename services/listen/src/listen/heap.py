"""Memory that sockets have freed, given back to the system: glibc keeps it otherwise, page by page between what is still used.

Owns when that is worth its few milliseconds: after many sockets have gone.
"""

import ctypes
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MANY: Final = 50
"""Sockets that must have gone since the last time."""
LOOKS: Final = 2


class Heap:
    """The heap of this process."""

    def __init__(self) -> None:
        self._trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
        """None where the C library is another one."""
        self._most = 0
        """The most sockets since the last time."""
        self._in = 0
        """Looks until it is given back: what is under way for a socket that has gone takes a moment."""

    def watch(self, sockets: int) -> None:
        """So many sockets are open now. Called about twice a second."""
        self._most = max(self._most, sockets)
        if self._in:
            self._in -= 1
            if not self._in and self._trim is not None:
                self._trim(0)
        elif self._most - sockets >= max(MANY, self._most // 4):
            self._most = sockets
            self._in = LOOKS
