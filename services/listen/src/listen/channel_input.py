"""One channel on its way to the encoder: the client's payload decoded, resampled, and put where the session says.

Owns the channel's decoder, which lives as long as its socket (the device's encoder goes on through every gap), the resampler
of what plays without a gap, and the samples that no packet has taken yet. What comes out has exactly the length that the
session reckoned with. Must not decide where anything belongs.
"""

from collections.abc import Callable
from typing import Final

from audiocodec.aac import AacDecoder
from audiocodec.decoder import Decoder
from audiocodec.errors import BadPacketError
from audiocodec.packet import packet_facts
from audiocodec.resampler import Resampler
from listen.audio_format import AudioFormat
from listen.encoding_job import Operation, Place, Silence

_HIGH_BYTE: Final = bytes(value ^ 0x80 for value in range(256))
"""Unsigned 8-bit, whose middle is 128, as the high byte of signed 16-bit."""


class ChannelInput:
    """One channel's samples, s16le at the encoder's rate."""

    def __init__(self, audio_format: AudioFormat) -> None:
        self.spoiled = 0
        """Packets or frames so far that did not decode."""
        self._rate = audio_format.encoder_rate
        self._decode, rate = _decoder(audio_format, self._rate)
        self._resampled_from = rate if rate != self._rate else None
        self._resampler: Resampler | None = None
        self._samples = bytearray()
        self._ready = 0
        """Index after the last sample here."""
        self._at = 0
        """Index of what the decoder, or the resampler, gives next."""

    @property
    def samples(self) -> int:
        """How many are ready."""
        return len(self._samples) // 2

    def begin(self) -> None:
        """A new encoder: indexes count from here."""
        self._samples.clear()
        self._ready = self._at = 0
        self._resampler = None

    def do(self, operation: Operation) -> None:
        """One of a job's operations."""
        match operation:
            case Place(origin, first):
                self._finish()
                self._pad(first)
                self._at = origin
                if self._resampled_from is not None:
                    self._resampler = Resampler(self._resampled_from, self._rate)
            case Silence(until):
                self._finish()
                self._pad(until)
            case _:
                pcm, spoiled = self._decode(operation)
                self.spoiled += spoiled
                self._put(self._resampler.process(pcm) if self._resampler else pcm)

    def end(self, index: int) -> None:
        """Everything comes out, up to exactly here."""
        self._finish()
        self._pad(index)
        excess = self._ready - index
        if excess > 0:
            # Positions are rounded to the nearest sample: what was reckoned may be one less than what came.
            del self._samples[-2 * excess :]
            self._ready = index

    def take(self, count: int) -> bytes:
        """The next `count` samples."""
        taken = bytes(self._samples[: 2 * count])
        del self._samples[: 2 * count]
        return taken

    def _put(self, pcm: bytes) -> None:
        late = self._ready - self._at
        self._at += len(pcm) // 2
        if late > 0:
            pcm = pcm[2 * late :]
        self._samples += pcm
        self._ready += len(pcm) // 2

    def _pad(self, index: int) -> None:
        if index > self._ready:
            self._samples += bytes(2 * (index - self._ready))
            self._ready = index

    def _finish(self) -> None:
        if self._resampler is not None:
            resampler, self._resampler = self._resampler, None
            self._put(resampler.finish())


_Decode = Callable[[bytes], tuple[bytes, int]]
"""A message to s16le, and how many packets or frames in it did not decode. Knows no channel: a decoder shall go with its socket, and
not wait for the collector of cycles, which does not know how much of libopus' and FFmpeg's memory hangs on it."""


def _decoder(audio_format: AudioFormat, rate: int) -> tuple[_Decode, int]:
    """What makes s16le of payload, and at which rate: `rate` where the decoder can choose."""
    match audio_format.codec:
        case "pcm8":
            return _widened, audio_format.sample_rate
        case "pcm16":
            return _as_it_is, audio_format.sample_rate
        case "aac":
            return _aac(AacDecoder(audio_format.sample_rate)), audio_format.sample_rate
        case _:
            return _opus(Decoder(rate, 1), rate), rate


def _opus(decoder: Decoder, rate: int) -> _Decode:
    def decode(packet: bytes) -> tuple[bytes, int]:
        try:
            return decoder.decode(packet), 0
        except BadPacketError:
            return bytes(2 * (packet_facts(packet).samples * rate // 48_000)), 1

    return decode


def _aac(decoder: AacDecoder) -> _Decode:
    def decode(message: bytes) -> tuple[bytes, int]:
        before = decoder.spoiled
        return decoder.decode(message), decoder.spoiled - before

    return decode


def _as_it_is(pcm: bytes) -> tuple[bytes, int]:
    return pcm, 0


def _widened(pcm: bytes) -> tuple[bytes, int]:
    """Unsigned 8-bit as signed 16-bit."""
    wide = bytearray(2 * len(pcm))
    wide[1::2] = pcm.translate(_HIGH_BYTE)
    return bytes(wide), 0
