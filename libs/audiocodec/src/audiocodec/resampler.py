"""PCM from one sample rate to another, by FFmpeg's libswresample, as it comes or in one go.

Owns the count: output sample j lies at source time j * rate_in / rate_out, and round-half-up(n * rate_out / rate_in)
come out of n. Knows nothing of Opus but which rates it has. numpy and av are imported by the first resampler, not
by this module: they cost 70 ms; `load` pays that beforehand.

Why libswresample: it is a polyphase filter, which holds back half its length: 0.7 ms at 44.1 kHz, 4 ms at 8 kHz. libsoxr
works in blocks and holds back 21 to 120 ms, and what is held back cannot be acknowledged. A filter of 64 phases' length leaves
a tone 100 dB above everything else; 16-bit samples end at 98 dB. It is linear-phase: there is no delay.

Why 32-bit floats in between: the same input in other pieces gives the same output, and silence stays silence.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from audiocodec.errors import BadPcmError, CodecError
from audiocodec.pcm import SAMPLE_RATES, check_whole

if TYPE_CHECKING:
    from typing import Any

    import numpy as np

MIN_RATE = 4_000
MAX_RATE = 192_000
"""Hz. Rates outside have no use here; together they bound by how much output can be longer than input."""
_OPTIONS = "filter_size=64:phase_shift=10:exact_rational=1"
_LAYOUTS = {1: "mono", 2: "stereo"}

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
    import av  # noqa: F401, PLC0415 - see the module's docstring
    import numpy as np  # noqa: F401, PLC0415 - the same


def resample(pcm: bytes, rate_in: int, rate_out: int, channels: int = 1) -> bytes:
    """All of `pcm` (s16le, interleaved) at another rate: round-half-up(n * rate_out / rate_in) sample frames.

    BadPcmError: no whole number of sample frames, or a rate or channel count that is not possible.
    """
    resampler = Resampler(rate_in, rate_out, channels)
    return resampler.process(pcm) + resampler.finish()


class Resampler:
    """One stream: s16le in any pieces, s16le out; what comes out in all does not depend on the pieces.

    Must not be used from two threads at once.
    """

    def __init__(self, rate_in: int, rate_out: int, channels: int = 1) -> None:
        """Rates in Hz. BadPcmError: a rate outside MIN_RATE to MAX_RATE, or other channels than 1 or 2."""
        for rate in (rate_in, rate_out):
            if not MIN_RATE <= rate <= MAX_RATE:
                raise BadPcmError(f"sample rate {rate}: {MIN_RATE} to {MAX_RATE} Hz are possible")
        if channels not in _LAYOUTS:
            raise BadPcmError(f"{channels} channels: 1 or 2 are possible")
        self._rate_in = rate_in
        self._rate_out = rate_out
        self._channels = channels
        self._frame_bytes = 2 * channels
        self._taken = 0  # sample frames in and out
        self._given = 0
        self._finished = False
        self._filter = None if rate_in == rate_out else _Filter(rate_in, rate_out, channels)

    def process(self, pcm: bytes) -> bytes:
        """What is ready with these samples; the filter holds back 1 ms (at 44.1 kHz) to 4 ms (at 8 kHz).

        BadPcmError: not a whole number of sample frames (nothing is taken). CodecError: the resampler is finished.
        """
        check_whole(pcm, self._channels)
        self._expect_unfinished()
        self._taken += len(pcm) // self._frame_bytes
        if self._filter is None:
            self._given = self._taken
            return pcm
        if not pcm:
            return b""
        size = _PIECE_SAMPLES * self._frame_bytes
        out = b"".join(self._filter.of(pcm[at : at + size]) for at in range(0, len(pcm), size))
        self._given += len(out) // self._frame_bytes
        return out

    def finish(self) -> bytes:
        """The rest. The resampler is used up: CodecError on any further call."""
        self._expect_unfinished()
        self._finished = True
        if self._filter is None or not self._taken:
            return b""
        rest = self._filter.rest()
        due = (2 * self._taken * self._rate_out + self._rate_in) // (2 * self._rate_in) - self._given
        missing = due - len(rest) // self._frame_bytes
        return (
            rest[: due * self._frame_bytes]
            + (rest[-self._frame_bytes :] or bytes(self._frame_bytes)) * missing
        )

    def _expect_unfinished(self) -> None:
        if self._finished:
            raise CodecError("the resampler is finished: begin a new one")


class _Filter:
    """A graph of FFmpeg's with its resampler in it; one thread, the caller's."""

    def __init__(self, rate_in: int, rate_out: int, channels: int) -> None:
        import av  # noqa: PLC0415 - see the module's docstring
        import numpy as np  # noqa: PLC0415 - the same

        self._av, self._np = av, np
        self._rate = rate_in
        self._layout = _LAYOUTS[channels]
        self._channels = channels
        self._taken = 0
        self._graph = av.filter.Graph()
        self._graph.threads = 1  # else each graph has threads of its own
        self._source = self._graph.add_abuffer(
            sample_rate=rate_in, format="flt", layout=self._layout, time_base=Fraction(1, rate_in)
        )
        resampler = self._graph.add("aresample", f"{rate_out}:{_OPTIONS}")
        form = self._graph.add("aformat", f"sample_fmts=flt:channel_layouts={self._layout}")
        self._sink = self._graph.add("abuffersink")
        self._source.link_to(resampler)
        resampler.link_to(form)
        form.link_to(self._sink)
        self._graph.configure()

    def of(self, pcm: bytes) -> bytes:
        """What is ready with these sample frames."""
        values = self._np.frombuffer(pcm, "<i2").astype(self._np.float32)
        frame = self._av.AudioFrame.from_ndarray(values.reshape(1, -1), format="flt", layout=self._layout)
        frame.sample_rate = self._rate
        frame.time_base = Fraction(1, self._rate)
        frame.pts = self._taken
        self._taken += len(values) // self._channels
        self._source.push(frame)
        return self._ready()

    def rest(self) -> bytes:
        """What is left at the end."""
        self._source.push(None)
        return self._ready()

    def _ready(self) -> bytes:
        parts: list[bytes] = []
        while True:
            try:
                frame: Any = self._sink.pull()
            except (self._av.BlockingIOError, self._av.EOFError):
                return b"".join(parts)
            parts.append(_samples(frame.to_ndarray()))


def _samples(values: np.ndarray) -> bytes:
    """s16le, rounded; what the filter's overshoot makes louder than 16 bits can say is clipped, never wrapped."""
    return values.round().clip(-32_768, 32_767).astype("<i2").tobytes()
