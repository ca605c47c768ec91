"""What decoding a run must give, whatever is in its packets."""

from collections.abc import Sequence

from audiocodec import Span, decode
from audiocodec.errors import CodecError
from tapedeck_fuzz.target import demand


def check_decoding(span: Span, preroll: Sequence[bytes], sample_rate: int, channels: int) -> None:
    """Exactly the played samples come out, rounded to the rate; or the documented error."""
    due = (span.samples * sample_rate + 24_000) // 48_000 * 2 * channels
    size = 0
    try:
        for piece in decode(span, preroll, sample_rate, channels):
            size += len(piece)
            demand(size <= due, f"more than the {due} bytes that {span.samples} samples make")
    except CodecError:
        return
    demand(size == due, f"{size} bytes of PCM, where {span.samples} samples make {due}")
