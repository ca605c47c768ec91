"""What a socket takes: the recording of its conversation, and while it switches to another one, the next recording too.

Owns which recording a message belongs to, and that one job is encoded at a time. Must not know Redis or messages.
"""

from audiobus import Opened
from listen.audio_format import AudioFormat
from listen.encoding_job import Encoded, EncodeJob
from listen.recording import Dialect, Recording


class Intake:
    """The recordings of one socket.

    A v1 client must wait for `ready`, so its recording begins when the session is open, where that says. A plain client
    never reads: what it sends before is taken too, and waits.
    """

    def __init__(self, audio_format: AudioFormat, dialect: Dialect, chunk_ms: int) -> None:
        self._format = audio_format
        self._dialect = dialect
        self._chunk_ms = chunk_ms
        self.current = self._early()
        """What is being brought into Redis; None while a v1 client waits for `ready`."""
        self._next: Recording | None = None
        self._switching = False
        self._encoding: Recording | None = None
        """Whose job is under way."""

    @property
    def target(self) -> Recording | None:
        """What takes audio now; None while the client must wait for `ready`."""
        return self._next if self._switching else self.current

    def waiting_bytes(self, acked: int) -> int:
        """What was taken of the session, and of the one that follows, and is not `acked`; with what it takes beside, about."""
        waiting = -acked
        for recording in self._all():
            waiting += recording.taken + recording.held_bytes + recording.overhead_bytes
        return waiting

    @property
    def taken_samples(self) -> int:
        """Audio taken from this socket, at 48 kHz, since the session was opened or resumed."""
        samples = 0
        for recording in self._all():
            samples += recording.samples + recording.held_samples
        return samples

    @property
    def has_early_audio(self) -> bool:
        """Whether a plain client's audio waits for its session to open."""
        return self.current is not None and self.current.taken > 0

    @property
    def next_has_audio(self) -> bool:
        """Whether a plain client's audio waits for the conversation that is being switched to."""
        return self._next is not None and self._next.taken > 0

    def opened(self, answer: Opened) -> Recording:
        """The session is open."""
        if self.current is None:
            self.current = Recording(
                self._format,
                dialect=self._dialect,
                chunk_ms=self._chunk_ms,
                offset=answer.offset,
                position=answer.position,
            )
        return self.current

    def begin_again(self) -> None:
        """The session is as if it had just been opened: nothing was taken of it, and no mark counts."""
        self.current = Recording(self._format, dialect=self._dialect, chunk_ms=self._chunk_ms)

    def switch(self) -> None:
        """What comes from now on belongs to another conversation."""
        self._next = self._early()
        self._switching = True

    def switched(self) -> None:
        """What came before is safe: the next recording is the current one."""
        self.current, self._next, self._switching = self._next, None, False

    def tick(self, now_ms: int) -> None:
        """Time has passed."""
        for recording in self._all():
            recording.tick(now_ms)

    def job(self, now_ms: int) -> EncodeJob | None:
        """What shall be encoded now; None while a job is under way."""
        if self._encoding is None:
            for recording in self._all():
                job = recording.job(now_ms)
                if job is not None:
                    self._encoding = recording
                    return job
        return None

    def encoded(self, result: Encoded, now_ms: int) -> None:
        """What came of the job."""
        recording, self._encoding = self._encoding, None
        assert recording is not None, "encoded without a job"  # noqa: S101 - the shell's order of events
        recording.encoded(result, now_ms)

    def _all(self) -> tuple[Recording, ...]:
        # Asked for by every event; nearly always there is one.
        if self._next is None:
            return () if self.current is None else (self.current,)
        return (self._next,) if self.current is None else (self.current, self._next)

    def _early(self) -> Recording | None:
        if self._dialect == "v1":
            return None
        return Recording(self._format, dialect=self._dialect, chunk_ms=self._chunk_ms)
