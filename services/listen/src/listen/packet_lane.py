"""Compressed audio on its way to chunks: each message one packet, kept as the device made it.

Owns the check of a packet and the lead-in of the device's encoder. Raises BadPacketError for what is no packet.
"""

from audiocodec.packet import packet_facts
from listen.audio_format import AudioFormat
from listen.chunker import Chunker
from listen.encoding_job import Encoded, EncodeJob
from listen.sample_clock import SampleClock


class PacketLane:
    """One session's packets."""

    def __init__(self, audio_format: AudioFormat, chunker: Chunker, *, resumed: bool) -> None:
        self._format = audio_format
        self._chunker = chunker
        self._fresh = not resumed
        """Whether the device's encoder begins with the next packet."""
        self._began = False
        self._lead_left = 0 if resumed else audio_format.pre_skip

    @property
    def midway(self) -> bool:
        """Whether the last message ended within a sample: never."""
        return False

    @property
    def idle(self) -> bool:
        """Whether everything taken is in closed chunks."""
        return not self._chunker.holds

    @property
    def flushable(self) -> bool:
        """Whether an encoder of ours holds something back: there is none."""
        return False

    def measure(self, data: bytes) -> int:
        """Samples at 48 kHz that the message lasts.

        Raises:
            BadPacketError: it is no Opus packet.
        """
        return packet_facts(data).samples

    def new_run(self) -> None:
        """The next packet begins a run: what its decoder gives first was recorded before."""
        self._began = False
        self._lead_left = self._format.pre_skip

    def take(self, data: bytes, samples: int, end_offset: int, clock: SampleClock, now_ms: int) -> int:
        """Takes a measured packet; answers how many played samples it adds."""
        if not self._began:
            self._chunker.begin(
                clock.run_start_ms, clock.position, lead=self._lead_left, starts=self._fresh, now_ms=now_ms
            )
            self._began = True
            self._fresh = False
        self._chunker.add(data, samples, end_offset, now_ms)
        lead = min(self._lead_left, samples)
        self._lead_left -= lead
        return samples - lead

    def leave_out(self, end_offset: int, now_ms: int) -> None:
        """Takes bytes that are no packet: they only count."""
        self._chunker.leave_out(end_offset, now_ms)

    def flush(self, end_offset: int, now_ms: int, *, ends: bool) -> int:  # noqa: ARG002 - packets have no odd byte
        """Closes the open chunk; answers the offset that is then covered."""
        self._chunker.close(now_ms)
        return end_offset

    def job(self, now_ms: int) -> EncodeJob | None:  # noqa: ARG002 - the lane's other kind has jobs
        """Nothing is ever to be encoded."""
        return None

    def encoded(self, result: Encoded, now_ms: int) -> None:  # noqa: ARG002 - the lane's other kind needs them
        """Cannot come: no job was given."""
        raise AssertionError("a packet lane gives no jobs")

    @property
    def due_at_ms(self) -> int | None:
        """When there is something to encode: never."""
        return None
