"""How much may wait for Redis in one socket, and what is done about more: the socket is not read until there is room."""

from dataclasses import dataclass
from typing import Final

from listen.upcoming import MAX_UPCOMING

MAX_WAITING_SAMPLES: Final = 8 * 48_000
MAX_WAITING_BYTES: Final = 2 * 1024 * 1024


@dataclass(slots=True)
class Pressure:
    """Whether the socket is read, and what the client was told."""

    reading: bool = True
    troubled: bool = False
    """The client was told `buffering`."""
    allowance_bytes: int = MAX_WAITING_BYTES
    """What may wait here now: less where other sockets hold most of what the process has room for."""

    def judge(self, samples: int, waiting_bytes: int, *, failing: bool, upcoming: int = 0) -> bool | None:
        """Looks at what waits. True: tell the client `buffering`; False: tell it `ok`; None: nothing to tell.

        Args:
            samples: audio that waits, at 48 kHz.
            waiting_bytes: bytes that wait, and what they need beside.
            failing: the last command to Redis failed.
            upcoming: conversations that wait for the one before them.
        """
        allowed = min(MAX_WAITING_BYTES, self.allowance_bytes)
        full = upcoming >= MAX_UPCOMING or samples >= MAX_WAITING_SAMPLES or waiting_bytes >= allowed
        roomy = (
            upcoming <= MAX_UPCOMING // 2
            and samples <= MAX_WAITING_SAMPLES // 2
            and waiting_bytes <= allowed // 2
        )
        if full:
            self.reading = False
        elif roomy:
            self.reading = True
        troubled = failing or not self.reading
        if troubled == self.troubled:
            return None
        self.troubled = troubled
        return troubled
