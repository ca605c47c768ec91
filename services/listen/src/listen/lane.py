"""What a recording asks of a lane: the way of one session's messages to chunks.

Two kinds keep to it: `PacketLane`, for packets that are stored as they came, and `TranscodeLane`, for all else.
"""

from typing import Literal, Protocol

from listen.encoding_job import Encoded, EncodeJob
from listen.sample_clock import SampleClock

Then = Literal["more", "return", "nothing"]
"""What follows a flush: more audio; a client that comes back and resumes; nothing (half a sample is dropped then)."""


class Lane(Protocol):
    """One session's audio between its messages and its chunks."""

    @property
    def reach(self) -> int:
        """Where the audio taken ends in the run, at 48 kHz: of two channels the one that is ahead."""

    @property
    def midway(self) -> bool:
        """Whether the next byte stands within a sample."""

    @property
    def idle(self) -> bool:
        """Whether everything taken is in closed chunks, but for what an encoder that goes on holds back."""

    @property
    def overhead_bytes(self) -> int:
        """About how much memory it takes beside the payload that it holds."""

    def rests(self, quiet_ms: int) -> bool:
        """Whether an encoder of ours holds something back that shall come out, as the line is quiet for so long."""

    @property
    def due_at_ms(self) -> int | None:
        """When `job` has something to say; None if not before more comes."""

    def measure(self, data: bytes) -> int:
        """The client's samples that a message holds, or completes.

        Raises:
            BadAudioError: it is no message of the codec, or of no channel.
            WrongRateError: AAC of another rate than the client said.
        """

    def take(self, data: bytes, samples: int, end_offset: int, clock: SampleClock, now_ms: int) -> int:
        """Takes a measured message, which ends with the session's byte `end_offset`; answers by how much `reach` moves."""

    def leave_out(self, end_offset: int, now_ms: int) -> None:
        """Takes bytes that are no audio: they only count, after what came before them."""

    def new_run(self, clock: SampleClock, now_ms: int) -> None:
        """The next message begins the run of `clock`. The lane has been flushed before."""

    def flush(self, end_offset: int, now_ms: int, then: Then) -> int:
        """Lets everything taken come out; answers the offset that is then covered."""

    def tick(self, now_ms: int) -> None:
        """Time has passed."""

    def job(self, now_ms: int) -> EncodeJob | None:
        """What shall be encoded now, if anything. One at a time: the next one after `encoded`."""

    def encoded(self, result: Encoded, now_ms: int) -> None:
        """What came of the job."""
