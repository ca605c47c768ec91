"""What one session holds that is not safe yet, whether its socket is read, and for how long it can be left alone.

Must not know phases, nor decide what the client is told beyond `buffering` and `ok`.
"""

from typing import TYPE_CHECKING, Final

from listen.intake import Intake
from listen.patience import Patience
from listen.pressure import Pressure
from listen.replies import Replies
from listen.terms import Terms

if TYPE_CHECKING:
    from listen.safekeeping import Safekeeping

CALM_MS: Final = 1_000
"""A tick costs as much as five messages, and changes nothing in a calm session before its open chunk is due."""
LAST_PACKET_MS: Final = 100
"""A chunk's last packet may come a little late: closed just before it, the chunk would be one more than needed."""
PLAIN_CALM_MS: Final = 300
"""Where lateness is measured, each message is looked at, and what is held back by its time too."""


class Load:
    """One session's load on this process."""

    def __init__(self, terms: Terms, intake: Intake, patience: Patience) -> None:
        self._terms = terms
        self._intake = intake
        self._patience = patience
        self._pressure = Pressure()
        self.safe: Safekeeping | None = None
        """Of the session that is open; None while none is."""

    @property
    def bearable(self) -> bool:
        """Whether more may be taken."""
        return self._pressure.reading

    @property
    def takes_several(self) -> bool:
        """Whether binary messages may be kept for a moment and given to `several`: each by itself would change nothing."""
        recording = self._intake.target
        return recording is not None and recording.takes_several

    @property
    def calm(self) -> bool:
        """Whether packets come, are kept as they are, and brought into Redis: time alone changes little then."""
        quiet = self.safe is not None and self.safe.quiet
        return quiet and self._terms.audio_format.is_kept and not self._pressure.troubled

    def calm_until_ms(self, now_ms: int) -> int:
        """How long a calm session stays so if nothing comes."""
        if self._terms.dialect == "plain":
            return now_ms + PLAIN_CALM_MS
        recording = self._intake.current
        due_at_ms = None if recording is None else recording.due_at_ms
        return now_ms + CALM_MS if due_at_ms is None else min(now_ms + CALM_MS, due_at_ms + LAST_PACKET_MS)

    @property
    def waiting_samples(self) -> int:
        """Audio taken and not yet safe, at 48 kHz."""
        return self._intake.taken_samples - (self.safe.outbox.appended_samples if self.safe else 0)

    @property
    def held_bytes(self) -> int:
        """About how much memory its audio takes: what waits for Redis, and what is kept for writing it again."""
        return self._waiting_bytes + (self.safe.outbox.kept_bytes if self.safe else 0)

    def allow(self, waiting_bytes: int, tail_bytes: int) -> None:
        """How much may wait here from now on, and be kept for writing it again. Looked at with the next event."""
        self._pressure.allowance_bytes = waiting_bytes
        if self.safe is not None:
            self.safe.outbox.keep_at_most(tail_bytes)

    def judge(self, out: Replies) -> None:
        """Looks at what waits, and tells the client where that has changed much."""
        judged = self._pressure.judge(
            self.waiting_samples,
            self._waiting_bytes,
            failing=self._patience.pause_ms > 0,
            upcoming=self._intake.upcoming,
        )
        out.trouble(judged)

    @property
    def _waiting_bytes(self) -> int:
        if self.safe is None:
            return self._intake.waiting_bytes(0)
        return self._intake.waiting_bytes(self.safe.outbox.acked) + self.safe.outbox.waiting_overhead_bytes
