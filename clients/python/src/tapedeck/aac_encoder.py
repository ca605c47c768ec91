"""PCM to AAC, one ADTS frame a message (ISO/IEC 13818-7 §6.2); FFmpeg's own encoder, through PyAV.

Owns the header before each frame, and what the encoder puts before the first sample. One channel.
"""

from fractions import Fraction

import numpy as np
from av import AudioCodecContext, AudioFrame, CodecContext

from audiocodec.adts import BLOCK_SAMPLES, SAMPLE_RATES

PRE_SKIP_SAMPLES = 1024
"""What FFmpeg's encoder puts before the first sample, at any rate: one frame. Its first packet's time says so too."""
MAX_BITRATE = 64_000
BITS_A_SAMPLE = 4
"""At low rates less: a frame holds 6,144 bits at most (ISO/IEC 14496-3 §4.5.3)."""

_HEADER_BYTES = 7
_LOW_COMPLEXITY = 1


class AacEncoder:
    """One stream's encoder: s16le mono in any pieces, messages of one frame (1,024 samples) each out."""

    def __init__(self, sample_rate: int) -> None:
        """`sample_rate` in Hz; ValueError where ADTS has it not."""
        self._rate_index = SAMPLE_RATES.index(sample_rate)
        encoder = CodecContext.create("aac", "w")
        if not isinstance(encoder, AudioCodecContext):
            raise TypeError("PyAV's AAC encoder is none for audio")
        encoder.sample_rate, encoder.layout, encoder.format = sample_rate, "mono", "fltp"
        encoder.bit_rate = min(MAX_BITRATE, sample_rate * BITS_A_SAMPLE)
        encoder.time_base = Fraction(1, sample_rate)
        self._encoder = encoder
        self._rest = b""
        self._taken = 0

    def encode(self, pcm: bytes) -> list[bytes]:
        """The messages that are complete with these whole samples; what fills no frame is kept."""
        data = self._rest + pcm
        size = 2 * BLOCK_SAMPLES
        whole = len(data) - len(data) % size
        self._rest = data[whole:]
        return [one for at in range(0, whole, size) for one in self._frame(data[at : at + size])]

    def finish(self) -> list[bytes]:
        """The last messages, with silence after the last sample up to a whole frame; the encoder is used up."""
        if not self._taken and not self._rest:
            return []
        last = self._frame(self._rest.ljust(2 * BLOCK_SAMPLES, b"\0")) if self._rest else []
        return [*last, *(self._message(bytes(packet)) for packet in self._encoder.encode(None))]

    def _frame(self, pcm: bytes) -> list[bytes]:
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / 32_768
        frame = AudioFrame.from_ndarray(samples[np.newaxis, :], format="fltp", layout="mono")
        frame.sample_rate = self._encoder.sample_rate
        frame.pts = self._taken
        self._taken += len(samples)
        return [self._message(bytes(packet)) for packet in self._encoder.encode(frame)]

    def _message(self, frame: bytes) -> bytes:
        """The frame after an ADTS header: MPEG-4, low complexity, one channel, no CRC, one raw data block."""
        size = _HEADER_BYTES + len(frame)
        fields = (
            (0xFFF, 12),  # sync word
            (0b0001, 4),  # MPEG-4, layer 0, no CRC
            (_LOW_COMPLEXITY, 2),
            (self._rate_index, 4),
            (0, 1),
            (1, 3),  # channels
            (0, 4),
            (size, 13),
            (0x7FF, 11),  # buffer fullness: not told
            (0, 2),  # raw data blocks, less one
        )
        header = 0
        for value, bits in fields:
            header = header << bits | value
        return header.to_bytes(_HEADER_BYTES, "big") + frame
