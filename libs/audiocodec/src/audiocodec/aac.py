"""AAC to PCM: ADTS messages in, mono out, by the decoder that PyAV brings.

Owns the decoder's state, and the promise that time is kept: each frame gives exactly its samples, also one that does
not decode. PyAV and numpy are imported by the first decoder, not by this module: they cost 60 ms each; `load` pays
that beforehand.

The decoder never sees an ADTS header. It is told beforehand, in an AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2), what
comes, and above all whether the high band of HE-AAC (SBR) is wanted: so the rate of its output is ours to say and
cannot change with what a device sends.

A decoder holds some 0.7 MB. A hostile stream can make FFmpeg keep up to 50 MB for one, with channel elements that it
announces and never uses; that is the most (64 elements), and it goes with the decoder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audiocodec.adts import SAMPLE_RATES, AdtsFrame, adts_frames
from audiocodec.errors import BadAdtsError

if TYPE_CHECKING:
    from typing import Any

    import numpy as np

_SBR, _SYNC_EXTENSION = 5, 0x2B7


def load() -> None:
    """Imports what decoding needs, so that the first decoder does not wait for it."""
    import av  # noqa: F401, PLC0415 - 60 ms, that only who decodes AAC shall pay
    import numpy as np  # noqa: F401, PLC0415 - the same


class AacDecoder:
    """One stream's decoder, to mono at one rate. Must not be used from two threads at once."""

    def __init__(self, sample_rate: int) -> None:
        """`sample_rate` in Hz: what the headers will say, or twice that for HE-AAC. BadAdtsError: ADTS has it not."""
        if sample_rate not in SAMPLE_RATES:
            raise BadAdtsError(
                f"sample rate {sample_rate}: ADTS has {', '.join(map(str, SAMPLE_RATES))} Hz only"
            )
        self._sample_rate = sample_rate
        self._configuration = b""
        self._codec: Any = None
        self._channels = (
            0  # of what the decoder gives: with SBR always 2, for parametric stereo may come at any time
        )
        self.spoiled = 0
        """Frames that did not decode, or not wholly, and came out as silence."""

    def decode(self, message: bytes) -> bytes:
        """PCM of whole ADTS frames, s16le mono: each frame gives samples * sample_rate / its header's rate.

        Several channels are mixed down, as is parametric stereo. A frame that does not decode comes as silence and
        is counted in `spoiled`; the next one decodes as ever. BadAdtsError: no ADTS frames, or frames of a rate that
        is neither `sample_rate` nor half of it; nothing is decoded then.
        """
        frames = adts_frames(message)
        for frame in frames:
            if self._sample_rate not in (frame.sample_rate, 2 * frame.sample_rate):
                raise BadAdtsError(
                    f"ADTS frame of {frame.sample_rate} Hz, where {self._sample_rate} Hz or half of it was to come"
                )
        return b"".join(self._frame(frame, message) for frame in frames)

    def _frame(self, frame: AdtsFrame, message: bytes) -> bytes:
        import numpy as np  # noqa: PLC0415 - see `load`

        codec = self._codec_for(frame)
        due = frame.samples * self._sample_rate // frame.sample_rate
        pieces = [piece for start, end in frame.parts for piece in self._decoded(codec, message[start:end])]
        samples = np.concatenate(pieces) if pieces else np.zeros(0)
        # Bits that went wrong may also come out as no number, or as fewer or more blocks than were told.
        if len(samples) != due or not np.isfinite(samples).all():
            self.spoiled += 1
            return bytes(2 * due)
        return bytes((samples * 32_768).round().clip(-32_768, 32_767).astype("<i2"))

    def _decoded(self, codec: Any, data: bytes) -> list[np.ndarray]:
        """The mono samples of each block, as floats; none of those that do not decode."""
        import av  # noqa: PLC0415 - see `load`

        try:
            # An empty packet would end the stream for good: parts are never empty (see `adts_frames`).
            decoded = codec.decode(av.Packet(data))
        except av.FFmpegError:
            return []
        if any(block.layout.nb_channels != self._channels for block in decoded):
            # The bits have told the decoder of other channels, for good: it is of no use any more. And where there are
            # 8 or more, PyAV reads past the list of their planes. With what it made for them it holds 16 MB.
            self._codec, self._configuration = None, b""
            return []
        return [block.to_ndarray().mean(axis=0) for block in decoded]

    def _codec_for(self, frame: AdtsFrame) -> Any:
        """The decoder; a new one where profile, rate or channels have changed, which real encoders never do."""
        configuration = audio_specific_config(frame, sbr=frame.sample_rate != self._sample_rate)
        if configuration != self._configuration:
            import av  # noqa: PLC0415 - see `load`

            codec: Any = av.CodecContext.create("aac", "r")
            codec.extradata = configuration
            codec.thread_count = 1
            codec.open()
            self._codec, self._configuration = codec, configuration
            self._channels = frame.channels if frame.sample_rate == self._sample_rate else 2
        return self._codec


def audio_specific_config(frame: AdtsFrame, *, sbr: bool) -> bytes:
    """AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1) for frames like this one, with SBR told to be there or not."""
    rate = SAMPLE_RATES.index(frame.sample_rate)
    general = (frame.object_type, 5), (0, 3)  # GASpecificConfig: 1,024 samples, no core coder, no extension
    fields: tuple[tuple[int, int], ...]
    if sbr:
        double = SAMPLE_RATES.index(2 * frame.sample_rate)
        fields = (_SBR, 5), (rate, 4), (frame.channels, 4), (double, 4), *general
    else:
        fields = (
            general[0],
            (rate, 4),
            (frame.channels, 4),
            general[1],
            (_SYNC_EXTENSION, 11),
            (_SBR, 5),
            (0, 1),
        )
    bits = "".join(f"{value:0{width}b}" for value, width in fields)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")
