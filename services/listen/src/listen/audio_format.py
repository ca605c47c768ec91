"""What a client sends: codec, rate, channels, pre-skip; and the arithmetic between its samples, ticks and samples at 48 kHz.

A tick is 1/(48000 * source_rate) s: a sample of the client's, a sample at 48 kHz and one of our encoder's are all whole
numbers of ticks, so positions are exact at any rate. Must not know messages or sockets.
"""

from dataclasses import dataclass
from typing import Final

from audiocodec.resampler import opus_rate

PCM_SAMPLE_BYTES: Final = {"pcm8": 1, "pcm16": 2}
PACKET_CODECS: Final = ("opus", "opus_fs320")
CODECS: Final = (*PCM_SAMPLE_BYTES, *PACKET_CODECS, "aac")
RATE_LEAST: Final = 8_000
RATE_MOST: Final = 48_000
ENCODER_LOOKAHEAD: Final = 312
"""Samples at 48 kHz that libopus looks ahead at any rate (voip and audio applications)."""
AAC_PRE_SKIP: Final = 1_024
"""Samples that most AAC encoders put before their first: one block."""
FRAME_SAMPLES: Final = 960
"""What each packet of our own encoder lasts, at 48 kHz: 20 ms."""
SOURCE_SAMPLE_TICKS: Final = 48_000
"""Ticks of one of the client's samples, at any rate."""


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """One session's audio."""

    codec: str
    sample_rate: int
    """Hz, as the client says."""
    channels: int = 1
    pre_skip: int = ENCODER_LOOKAHEAD
    """What the client's encoder puts before its first sample, in samples at `source_rate`. PCM has none: not looked at."""

    def __post_init__(self) -> None:
        if (
            self.codec not in CODECS
            or not RATE_LEAST <= self.sample_rate <= RATE_MOST
            or self.channels not in (1, 2)
        ):
            raise ValueError(f"{self.codec} at {self.sample_rate} Hz with {self.channels} channels")

    @property
    def is_pcm(self) -> bool:
        """Whether the client sends samples, not packets."""
        return self.codec in PCM_SAMPLE_BYTES

    @property
    def is_kept(self) -> bool:
        """Whether the client's packets are stored as they are."""
        return self.codec in PACKET_CODECS and self.channels == 1

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample of PCM; 0 for a compressed codec."""
        return PCM_SAMPLE_BYTES.get(self.codec, 0)

    @property
    def source_rate(self) -> int:
        """Hz at which the client's samples are counted: Opus counts at 48 kHz, whatever it carries."""
        return 48_000 if self.codec in PACKET_CODECS else self.sample_rate

    @property
    def encoder_rate(self) -> int:
        """Hz of our own encoder: an Opus rate."""
        return opus_rate(self.sample_rate)

    @property
    def scale(self) -> int:
        """Samples at 48 kHz for one of our encoder's."""
        return 48_000 // self.encoder_rate

    @property
    def step_ticks(self) -> int:
        """Ticks of one of our encoder's samples."""
        return self.source_rate * self.scale

    @property
    def tag_bytes(self) -> int:
        """Bytes at the front of a message that are no payload: the channel."""
        return self.channels - 1

    def __str__(self) -> str:
        """As `td:conv` notes it. A resuming client must offer the same codec, rate and channels."""
        return f"{self.codec}:{self.sample_rate}:{self.channels}:{self.pre_skip}"
