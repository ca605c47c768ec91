"""PCM from one sample rate to another, by libsoxr, as it comes or in one go.

Owns the count: output sample j lies at source time j * rate_in / rate_out, and round-half-up(n * rate_out / rate_in)
come out of n. Knows nothing of Opus but which rates it has. numpy and soxr are imported by the first resampler, not
by this module: they cost 70 ms; `load` pays that beforehand.

Why HQ, of soxr's recipes (measured on a minute in pieces of 100 ms, 44.1 to 48 kHz): MQ takes 26 ms of CPU, HQ 27, VHQ
36. HQ is flat to 0.01 dB up to 0.91 of the smaller Nyquist frequency, and images and aliases lie 130 dB down; MQ loses
0.2 dB there and has 109 dB. 16-bit samples end at 98 dB. All are linear-phase: there is no delay.

Why 32-bit floats in between: soxr's own 16-bit output is dithered, so that silence would not stay silence and two
ways of cutting the input would give two outputs; and it costs as much.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audiocodec.errors import BadPcmError, CodecError
from audiocodec.pcm import MAX_CHANNELS, SAMPLE_RATES, check_whole

if TYPE_CHECKING:
    from typing import Any

    import numpy as np

MIN_RATE = 4_000
MAX_RATE = 192_000
"""Hz. Rates outside have no use here; together they bound by how much output can be longer than input."""
QUALITY = "HQ"

_PIECE_SAMPLES = 1 << 16
"""Sample frames that are converted at once: what lies in memory as floats, whatever is given."""


def opus_rate(sample_rate: int) -> int:
    """The Opus rate for a recording of `sample_rate` Hz: the same, or the next one above.

    BadPcmError: above 48 kHz, or not above 0.
    """
    if not 0 < sample_rate <= SAMPLE_RATES[-1]:
        raise BadPcmError(f"sample rate {sample_rate}: 1 to {SAMPLE_RATES[-1]} Hz are possible")
    return next(rate for rate in SAMPLE_RATES if rate >= sample_rate)


def load() -> None:
    """Imports what resampling needs, so that the first resampler does not wait for it."""
    import soxr  # type: ignore[import-untyped]  # noqa: F401, PLC0415 - no py.typed; 70 ms, numpy with it, that only who resamples shall pay


def resample(pcm: bytes, rate_in: int, rate_out: int, channels: int = 1) -> bytes:
    """All of `pcm` (s16le, interleaved) at another rate: round-half-up(n * rate_out / rate_in) sample frames.

    BadPcmError: no whole number of sample frames, or a rate or channel count that is not possible.
    """
    resampler = Resampler(rate_in, rate_out, channels)
    return resampler.process(pcm) + resampler.finish()


class Resampler:
    """One stream: s16le in any pieces, s16le out; what comes out in all does not depend on the pieces.

    Must not be used from two threads at once. soxr works without the interpreter's lock.
    """

    def __init__(self, rate_in: int, rate_out: int, channels: int = 1) -> None:
        """Rates in Hz. BadPcmError: a rate outside MIN_RATE to MAX_RATE, or channels outside 1 to MAX_CHANNELS."""
        for rate in (rate_in, rate_out):
            if not MIN_RATE <= rate <= MAX_RATE:
                raise BadPcmError(f"sample rate {rate}: {MIN_RATE} to {MAX_RATE} Hz are possible")
        if not 1 <= channels <= MAX_CHANNELS:
            raise BadPcmError(f"{channels} channels: 1 to {MAX_CHANNELS} are possible")
        self._rate_in = rate_in
        self._rate_out = rate_out
        self._channels = channels
        self._frame_bytes = 2 * channels
        self._taken = 0  # sample frames in and out
        self._given = 0
        self._finished = False
        self._stream: Any = None  # none where nothing is to be done
        if rate_in != rate_out:
            import soxr  # noqa: PLC0415 - see `load`

            self._stream = soxr.ResampleStream(rate_in, rate_out, channels, dtype="float32", quality=QUALITY)

    def process(self, pcm: bytes) -> bytes:
        """What is ready with these samples; the filter holds back up to 120 ms (at 8 kHz; 21 ms at 44.1).

        BadPcmError: not a whole number of sample frames (nothing is taken). CodecError: the resampler is finished.
        """
        check_whole(pcm, self._channels)
        self._expect_unfinished()
        self._taken += len(pcm) // self._frame_bytes
        if self._stream is None:
            self._given = self._taken
            return pcm
        if not pcm:
            return b""
        out = b"".join(self._pieces(pcm))
        self._given += len(out) // self._frame_bytes
        return out

    def finish(self) -> bytes:
        """The rest. The resampler is used up: CodecError on any further call."""
        self._expect_unfinished()
        self._finished = True
        if self._stream is None or not self._taken:
            return b""
        import numpy as np  # noqa: PLC0415 - see `load`

        rest = _samples(self._stream.resample_chunk(np.zeros((0, self._channels), np.float32), last=True))
        # soxr's own count is the same but for its rounding of exact halves, down.
        due = (2 * self._taken * self._rate_out + self._rate_in) // (2 * self._rate_in) - self._given
        missing = due - len(rest) // self._frame_bytes
        return (
            rest[: due * self._frame_bytes]
            + (rest[-self._frame_bytes :] or bytes(self._frame_bytes)) * missing
        )

    def _pieces(self, pcm: bytes) -> list[bytes]:
        import numpy as np  # noqa: PLC0415 - see `load`

        samples = np.frombuffer(pcm, "<i2").reshape(-1, self._channels)
        return [
            _samples(self._stream.resample_chunk(samples[at : at + _PIECE_SAMPLES].astype(np.float32)))
            for at in range(0, len(samples), _PIECE_SAMPLES)
        ]

    def _expect_unfinished(self) -> None:
        if self._finished:
            raise CodecError("the resampler is finished: begin a new one")


def _samples(values: np.ndarray) -> bytes:
    """s16le, rounded; what the filter's overshoot makes louder than 16 bits can say is clipped, never wrapped."""
    return values.round().clip(-32_768, 32_767).astype("<i2").tobytes()
