"""Where a session's audio ends on the timeline, as `td:conv` keeps it for whoever resumes: `run_start_ms:next_sample[:lag[,lag]]`.

The scripts store it as it is and never look into it. A lag, one a channel (near first), is an integer, or `*` for a channel that
was silent; `.` and two hex digits follow where the channel stands in the middle of a sample. No lags mean 0 for each channel.
"""

import re
from typing import Final, Self

import msgspec

SILENT: Final = "*"

_NUMBER: Final = r"(0|-?[1-9][0-9]{0,18})"
_LAG: Final = re.compile(rf"(?:\*|{_NUMBER})(?:\.([0-9a-f]{{2}}))?", re.ASCII)
_POSITION: Final = re.compile(rf"{_NUMBER}:{_NUMBER}(?::([^,:]+(?:,[^,:]+)?))?", re.ASCII)


class Lag(msgspec.Struct, frozen=True):
    """Where one channel's next payload byte lies, seen from the end of what is stored."""

    ticks: int | None
    """How far before `next_sample`, in 1/(48000 * rate) s, where `rate` is what the client's samples are counted at (48000 for
    Opus). Exact at any rate. What of it was stored already must not be stored again. Negative: after it, in silence. None:
    the channel was silent, and is placed by the other one's clock when it speaks."""
    odd: bytes = b""
    """The first byte of a sample whose rest lies after the newest offset."""

    def __str__(self) -> str:
        ticks = SILENT if self.ticks is None else str(self.ticks)
        return f"{ticks}.{self.odd.hex()}" if self.odd else ticks

    @classmethod
    def parse(cls, text: str) -> Self:
        """ValueError: nothing that `str` makes."""
        match = _LAG.fullmatch(text)
        if match is None:
            raise ValueError(f"{text[:60]!r} is no lag of a channel")
        return cls(None if match[1] is None else int(match[1]), bytes.fromhex(match[2] or ""))


class Position(msgspec.Struct, frozen=True):
    """Where the newest entry's audio ends on the timeline."""

    run_start_ms: int
    next_sample: int
    """Samples at 48 kHz since the run's start that are stored."""
    lags: tuple[Lag, ...] = ()
    """One a channel; empty where every channel's next byte lies exactly at `next_sample`."""

    def __str__(self) -> str:
        text = f"{self.run_start_ms}:{self.next_sample}"
        return f"{text}:{','.join(map(str, self.lags))}" if self.lags else text

    @classmethod
    def parse_or_none(cls, text: bytes | None) -> Self | None:
        """The position written as above; None before the first audio.

        Raises:
            ValueError: it is not written so.
        """
        if not text:
            return None
        match = _POSITION.fullmatch(text.decode("ascii"))
        if match is None:
            raise ValueError(f"{text[:60]!r} is no position")
        lags = match[3].split(",") if match[3] else ()
        return cls(int(match[1]), int(match[2]), tuple(map(Lag.parse, lags)))
