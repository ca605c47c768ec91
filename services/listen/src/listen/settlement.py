"""What the client is told about `stored`: the answers to `finalize`, and the refresh every 15 s.

Every append's answer brings the settled id for nothing; only where no append comes is Redis asked. Must not send.
"""

from dataclasses import dataclass
from typing import Final

FINALIZE_MS: Final = 15_000
REFRESH_MS: Final = 14_000
"""A little less than the 15 s that are promised."""
FIRST_LOOK_MS: Final = 200
LONGEST_LOOK_MS: Final = 1_000
ASK_AGAIN_MS: Final = 1_000
"""What was asked for is asked for again only after this, or when more was written."""
FINALS_LIMIT: Final = 32
"""Questions that wait for their answer; one more is answered together with the last of them."""


@dataclass(slots=True)
class _Final:
    offset: int
    deadline_ms: int
    asked: bool = False


class Settlement:
    """One open session's questions about `stored`."""

    def __init__(self, now_ms: int) -> None:
        self._finals: list[_Final] = []
        self._fresh_ms = now_ms
        """When `stored` was last read."""
        self._failed_ms = now_ms - LONGEST_LOOK_MS
        """When it last could not be."""
        self._asked: tuple[int, int] | None = None
        """Up to which byte storing was asked for last, and when; None where that may not stand."""
        self._look_at_ms = 0
        self._pause_ms = FIRST_LOOK_MS

    @property
    def waits(self) -> bool:
        """Whether a final is not answered yet."""
        return bool(self._finals)

    def finalize(self, offset: int, now_ms: int) -> None:
        """The client wants to know when all up to `offset` is stored."""
        if len(self._finals) >= FINALS_LIMIT:
            # One answer for both: what is stored up to there holds what the one before asked for.
            last = self._finals[-1]
            last.offset, last.asked = offset, False
            return
        self._finals.append(_Final(offset, now_ms + FINALIZE_MS))

    def answers(self, stored: int, now_ms: int) -> list[tuple[int, bool]]:
        """The finals that can be answered now: offset, and whether it is stored."""
        if not self._finals:
            return []
        done = [final for final in self._finals if final.offset <= stored or now_ms >= final.deadline_ms]
        self._finals = [final for final in self._finals if final not in done]
        return [(final.offset, final.offset <= stored) for final in done]

    def give_up(self, stored: int) -> list[tuple[int, bool]]:
        """The session is over: every final that still waits is answered with what is known."""
        waiting, self._finals = self._finals, []
        return [(final.offset, final.offset <= stored) for final in waiting]

    def ask(self, acked: int, now_ms: int) -> bool:
        """Whether storing must be asked for now: once for each final, when all before it is appended.

        What was asked for a moment ago serves those that came since, if nothing was written meanwhile.
        """
        asking = [final for final in self._finals if not final.asked and final.offset <= acked]
        if not asking:
            return False
        for final in asking:
            final.asked = True
        if self._asked is not None:
            offset, asked_ms = self._asked
            if acked <= offset and asked_ms <= now_ms < asked_ms + ASK_AGAIN_MS:
                return False
        self._asked = (acked, now_ms)
        self._pause_ms = FIRST_LOOK_MS
        self._look_at_ms = now_ms + self._pause_ms
        return True

    def unasked(self) -> None:
        """What was asked for may not stand: each final is asked for again."""
        self._asked = None
        for final in self._finals:
            final.asked = False

    def look(self, acked: int, stored: int, now_ms: int) -> bool:
        """Whether `stored` must be read now."""
        if acked <= stored:
            return False
        if self._failed_ms <= now_ms < self._failed_ms + LONGEST_LOOK_MS:
            return False
        if (
            not self._fresh_ms <= now_ms < self._fresh_ms + REFRESH_MS
        ):  # a clock that was set back puts nothing off
            return True
        if not self._finals or now_ms < self._look_at_ms:
            return False
        return any(final.asked for final in self._finals)

    def looked(self, now_ms: int) -> None:
        """`stored` was read."""
        self._fresh_ms = now_ms
        self._pause_ms = min(LONGEST_LOOK_MS, self._pause_ms * 3 // 2)
        self._look_at_ms = now_ms + self._pause_ms

    def failed(self, now_ms: int) -> None:
        """It could not be read: soon again, so that it is fresh as soon as Redis answers."""
        self._failed_ms = now_ms

    def told(self, now_ms: int) -> None:
        """An append's answer brought it."""
        self._fresh_ms = now_ms
