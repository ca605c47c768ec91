"""What a client says about its audio when it opens a session, and how long a payload lasts.

Must not do: I/O. The parameters are those of docs/listen-protocol ("Opening").
"""

from dataclasses import dataclass
from typing import Literal

from audiocodec.adts import SAMPLE_RATES as ADTS_RATES
from audiocodec.adts import adts_frames
from audiocodec.errors import CodecError
from audiocodec.packet import packet_facts
from audiocodec.pcm import SAMPLE_RATES as OPUS_RATES

Codec = Literal["pcm8", "pcm16", "opus", "opus_fs320", "aac"]

MIN_RATE, MAX_RATE = 8_000, 48_000
"""Hz; what the server takes."""


def codec_rate(codec: Codec, sample_rate: int) -> int:
    """The rate at which audio of this rate goes over the wire: its own, or the next above that the codec has, in Hz."""
    if codec in ("pcm8", "pcm16"):
        return min(max(sample_rate, MIN_RATE), MAX_RATE)
    rates = ADTS_RATES if codec == "aac" else OPUS_RATES
    return min(
        (rate for rate in rates if MIN_RATE <= rate <= MAX_RATE and rate >= sample_rate), default=MAX_RATE
    )


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """The audio of one recording.

    With two channels every message carries one channel's audio, said with each payload (1 near, 2 far).
    """

    codec: Codec = "pcm16"
    sample_rate: int = 16000
    """Hz."""
    channels: int = 1
    pre_skip: int | None = None
    """Samples that the device's encoder puts before its first sample (Opus: at 48 kHz); None: the server's default."""

    @property
    def divisible(self) -> bool:
        """Whether a payload may be cut anywhere: PCM may, packets may not."""
        return self.codec in ("pcm8", "pcm16")

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of one channel where the audio is divisible, else 1."""
        return 2 if self.codec == "pcm16" else 1

    def query(self) -> dict[str, str]:
        """The query parameters that say this."""
        parameters = {
            "codec": self.codec,
            "sample_rate": str(self.sample_rate),
            "channels": str(self.channels),
        }
        if self.pre_skip is not None:
            parameters["pre_skip"] = str(self.pre_skip)
        return parameters

    def duration_ms(self, payload: bytes) -> float:
        """How long a payload lasts; 0 for what is no packet (the server counts it and leaves it out)."""
        if self.divisible:
            return len(payload) / self.frame_bytes / self.sample_rate * 1000
        try:
            if self.codec == "aac":
                return sum(frame.samples / frame.sample_rate for frame in adts_frames(payload)) * 1000
            return packet_facts(payload).samples / 48
        except CodecError:
            return 0.0
