"""Compressed audio on its way to chunks: each message one packet, kept as the device made it.

Owns the check of a packet and the lead-in of the device's encoder. Raises BadAudioError for what is no packet.
"""

from collections.abc import Sequence

from audiobus import Lag, Position
from audiocodec.errors import BadPacketError
from audiocodec.packet import is_bloated, packet_durations
from listen.audio_format import SOURCE_SAMPLE_TICKS, AudioFormat
from listen.chunker import Chunker
from listen.compressed_message import opus_samples
from listen.encoding_job import Encoded, EncodeJob
from listen.lane import Then
from listen.sample_clock import SampleClock


class PacketLane:
    """One session's packets."""

    def __init__(self, audio_format: AudioFormat, chunker: Chunker, position: Position | None = None) -> None:
        """A fresh session's lane, or that of one that goes on after `position`."""
        self._format = audio_format
        self._chunker = chunker
        self._fresh = position is None
        """Whether the device's encoder begins with the next packet."""
        self._began = False
        self._lead_left = audio_format.pre_skip
        self.reach = 0
        """The end in the run, at 48 kHz."""
        if position is not None:
            # A lead-in of several packets may have been acked in part.
            ticks = sum(lag.ticks or 0 for lag in position.lags)
            self._lead_left = max(0, ticks) // SOURCE_SAMPLE_TICKS
            self.reach = position.next_sample

    @property
    def midway(self) -> bool:
        """Whether the last message ended within a sample: never."""
        return False

    @property
    def idle(self) -> bool:
        """Whether everything taken is in closed chunks."""
        return not self._chunker.holds

    @property
    def overhead_bytes(self) -> int:
        """About how much memory it takes beside the payload: packets are kept as they are."""
        return 0

    def rests(self, quiet_ms: int) -> bool:  # noqa: ARG002 - the lane's other kind looks at it
        """Whether an encoder of ours holds something back: there is none."""
        return False

    def measure(self, data: bytes) -> int:
        """Samples at 48 kHz that the message lasts.

        Raises:
            BadAudioError: it is no Opus packet.
        """
        return opus_samples(data)

    def new_run(self, clock: SampleClock, now_ms: int) -> None:
        """The next packet begins the run of `clock`: what its decoder gives first was recorded before."""
        self._lead_left = self._format.pre_skip
        self.reach = 0
        self._begin(clock, now_ms)

    def take(self, data: bytes, samples: int, end_offset: int, clock: SampleClock, now_ms: int) -> int:
        """Takes a measured packet; answers how many played samples it adds."""
        if not self._began:
            self._begin(clock, now_ms)
        lead = min(self._lead_left, samples)
        if lead:
            self._lead_left -= lead
            self._chunker.lags = self._lags()
        self._fresh = False
        if self._chunker.add(data, samples, end_offset, now_ms):
            self._chunker.close(now_ms)
        self.reach += samples - lead
        return samples - lead

    @property
    def takes_several(self) -> bool:
        """Whether `take_all` may have packets: nothing is special about the next one."""
        return self._began and not self._lead_left

    def take_all(self, packets: Sequence[bytes], offset: int, since_ms: int, now_ms: int) -> int | None:
        """Takes packets at once that came one after another since `since_ms`, the first after the session's byte `offset`.

        What comes of it is what `take` would have made of each, at a small part of the cost. None: they must be taken one by one.
        """
        try:
            durations = packet_durations(packets)
        except BadPacketError:
            return None
        if any(map(is_bloated, packets)):
            return None
        chunker, samples, size_bytes = self._chunker, sum(durations), sum(map(len, packets))
        if chunker.fits(samples, size_bytes, len(packets)):
            if chunker.add_all(packets, samples, size_bytes, offset + size_bytes, since_ms):
                chunker.close(now_ms)
        else:
            # A chunk that begins among them is as old as its first packet: were it taken for older, it would be closed half full.
            at_ms = since_ms
            for packet, packet_samples in zip(packets, durations, strict=True):
                offset += len(packet)
                if chunker.add(packet, packet_samples, offset, at_ms):
                    chunker.close(now_ms)
                at_ms = min(now_ms, at_ms + packet_samples // 48)
        self.reach += samples
        return samples

    def leave_out(self, end_offset: int, now_ms: int) -> None:
        """Takes bytes that are no packet: they only count."""
        self._chunker.leave_out(end_offset, now_ms)

    def tick(self, now_ms: int) -> None:
        """Time has passed: nothing of this lane's."""

    def flush(self, end_offset: int, now_ms: int, then: Then) -> int:  # noqa: ARG002 - packets have no odd byte
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

    def _begin(self, clock: SampleClock, now_ms: int) -> None:
        self._chunker.begin(
            clock.run_start_ms, self.reach, lead=self._lead_left, starts=self._fresh, now_ms=now_ms
        )
        self._chunker.lags = self._lags()
        self._began = True

    def _lags(self) -> tuple[Lag, ...]:
        """What is left of the lead-in lies before the run's first sample."""
        return (Lag(self._lead_left * SOURCE_SAMPLE_TICKS),) if self._lead_left else ()
