"""What a socket takes: the recording of its conversation, and those of the conversations that it changes to meanwhile.

Owns which recording a message belongs to, and that one job is encoded at a time. Must not know Redis or messages.
"""

from collections import deque

from audiobus import Opened
from listen.audio_format import AudioFormat
from listen.early_messages import LIMIT
from listen.encoding_job import Encoded, EncodeJob
from listen.recording import Dialect, Recording
from listen.upcoming import MAX_UPCOMING, UPCOMING_BYTES, Upcoming


class Intake:
    """The recordings of one socket.

    A v1 client must wait for `ready`, so its recording begins when the session is open, where that says. A plain client
    never reads: what it sends before is taken too, as it comes, into the recording of the conversation that it named last.
    """

    def __init__(
        self, conversation_id: str, audio_format: AudioFormat, dialect: Dialect, chunk_ms: int
    ) -> None:
        self._format = audio_format
        self._dialect = dialect
        self._chunk_ms = chunk_ms
        self._last_named = conversation_id
        self._finals: list[int] = []
        """Of the current conversation, until its session has them."""
        self._upcoming: deque[Upcoming] = deque()
        """What the client has changed to since, in order. In v1 one at the most."""
        self.current = self._early()
        """What is being brought into Redis; None while a v1 client waits for `ready`."""
        self._encoding: Recording | None = None
        """Whose job is under way."""
        self._all: tuple[Recording, ...] = ()
        """Asked for by every event; nearly always there is one."""
        self._note_all()

    @property
    def target(self) -> Recording | None:
        """What takes audio now; None while the client must wait for `ready`."""
        return self._upcoming[-1].recording if self._upcoming else self.current

    def waiting_bytes(self, acked: int) -> int:
        """What was taken of the session, and of those that follow, and is not `acked`; with what it takes beside, about."""
        waiting = UPCOMING_BYTES * len(self._upcoming) - acked
        for recording in self._all:
            waiting += recording.taken + recording.held_bytes + recording.overhead_bytes
        return waiting

    @property
    def taken_samples(self) -> int:
        """Audio taken from this socket, at 48 kHz, since the session was opened or resumed."""
        samples = 0
        for recording in self._all:
            samples += recording.samples + recording.held_samples
        return samples

    @property
    def has_early_audio(self) -> bool:
        """Whether a plain client's audio waits for its session to open, or for one that follows."""
        return (self.current is not None and self.current.taken > 0) or self.next_has_audio

    @property
    def next_has_audio(self) -> bool:
        """Whether a plain client's audio waits for a conversation that was changed to."""
        return any(upcoming.has_audio for upcoming in self._upcoming)

    @property
    def hurries(self) -> bool:
        """Whether what follows cannot wait for the bucket: a plain client's audio, safe nowhere, or so much that it is not read."""
        return self.next_has_audio or self.upcoming >= MAX_UPCOMING

    @property
    def changing(self) -> bool:
        """Whether the client has changed to another conversation."""
        return bool(self._upcoming)

    @property
    def upcoming(self) -> int:
        """How many conversations the client has changed to that are not open."""
        return len(self._upcoming)

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
            self._note_all()
        return self.current

    def finals(self) -> list[int]:
        """Offsets of the current session up to which the client asked for everything to be stored, since the last call."""
        if not self._finals:
            return []
        finals, self._finals = self._finals, []
        return finals

    def finalize(self, now_ms: int) -> bool:
        """Everything taken so far shall be stored. False: too many wait for sessions that are not open yet, it is left out."""
        if len(self._finals) + sum(len(upcoming.finals) for upcoming in self._upcoming) >= LIMIT:
            return False
        if (recording := self.target) is not None:
            finals = self._upcoming[-1].finals if self._upcoming else self._finals
            finals.append(recording.flush(now_ms, "more"))
        return True

    def named_again(self, conversation_id: str) -> bool:
        """Whether the client names the conversation that it has, of which nothing was taken: then no mark counts any more."""
        if conversation_id != self._last_named or self.target is None or self.target.taken:
            return False
        fresh = Recording(self._format, dialect=self._dialect, chunk_ms=self._chunk_ms)
        if self._upcoming:
            self._upcoming[-1].recording = fresh
        else:
            self.current = fresh
        self._note_all()
        return True

    def change(self, conversation_id: str, now_ms: int) -> None:
        """What comes from now on belongs to another conversation."""
        if (recording := self.target) is not None:
            recording.flush(now_ms, "nothing")
        self._upcoming.append(Upcoming(conversation_id, now_ms, self._early()))
        self._last_named = conversation_id
        self._note_all()

    def changed(self) -> Upcoming:
        """What came before is safe: the next conversation, whose recording is the current one now."""
        upcoming = self._upcoming.popleft()
        self.current, self._finals = upcoming.recording, upcoming.finals
        self._note_all()
        return upcoming

    def tick(self, now_ms: int) -> None:
        """Time has passed."""
        for recording in self._all:
            recording.tick(now_ms)

    def job(self, now_ms: int) -> EncodeJob | None:
        """What shall be encoded now; None while a job is under way."""
        if self._encoding is None:
            for recording in self._all:
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

    def _note_all(self) -> None:
        recordings = (self.current, *(upcoming.recording for upcoming in self._upcoming))
        self._all = tuple(recording for recording in recordings if recording is not None)

    def _early(self) -> Recording | None:
        if self._dialect == "v1":
            return None
        return Recording(self._format, dialect=self._dialect, chunk_ms=self._chunk_ms)
