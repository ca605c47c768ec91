"""What a client sends: codec, rate, channels, pre-skip; and the arithmetic between its bytes and samples at 48 kHz.

Must not know messages or sockets.
"""

from dataclasses import dataclass
from typing import Final

from audiocodec.pcm import SAMPLE_RATES

PCM_SAMPLE_BYTES: Final = {"pcm8": 1, "pcm16": 2}
PACKET_CODECS: Final = ("opus", "opus_fs320")
CODECS: Final = (*PCM_SAMPLE_BYTES, *PACKET_CODECS)
KNOWN_CODECS: Final = (*CODECS, "aac")
"""What the protocol names; what of it is not in CODECS is not built yet."""
ENCODER_LOOKAHEAD: Final = 312
"""Samples at 48 kHz that libopus looks ahead at any rate (voip and audio applications)."""
FRAME_SAMPLES: Final = 960
"""What each packet of our own encoder lasts, at 48 kHz: 20 ms."""


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """One session's audio."""

    codec: str
    sample_rate: int
    """Hz, one of the rates of Opus."""
    channels: int = 1
    pre_skip: int = ENCODER_LOOKAHEAD
    """What the encoder puts before its first sample, at 48 kHz; for PCM that is our own encoder's."""

    def __post_init__(self) -> None:
        if self.codec not in CODECS or self.sample_rate not in SAMPLE_RATES or self.channels != 1:
            raise ValueError(f"{self.codec} at {self.sample_rate} Hz with {self.channels} channels")

    @property
    def is_pcm(self) -> bool:
        """Whether the client sends samples, not packets."""
        return self.codec in PCM_SAMPLE_BYTES

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample of PCM."""
        return PCM_SAMPLE_BYTES[self.codec]

    @property
    def scale(self) -> int:
        """Samples at 48 kHz for one of the client's."""
        return 48_000 // self.sample_rate

    @property
    def frame_bytes(self) -> int:
        """Bytes of PCM that fill one frame of 20 ms."""
        return FRAME_SAMPLES // self.scale * self.sample_bytes

    def __str__(self) -> str:
        """As `td:conv` notes it: what a resuming client must offer again."""
        return f"{self.codec}:{self.sample_rate}:{self.channels}:{self.pre_skip}"
