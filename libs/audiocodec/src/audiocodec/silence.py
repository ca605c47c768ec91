"""Packets that decode to silence, to fill gaps with.

Owns their bytes. A CELT frame that begins with the silence flag (RFC 6716 §4.3): the range coder reads the set bit
from FF FE, after which nothing more is read.
"""

from __future__ import annotations

from audiocodec.errors import BadPcmError

STEP_SAMPLES = 120
"""Silence comes in multiples of 2.5 ms at 48 kHz, the shortest Opus frame."""
MAX_SILENCE_SAMPLES = 24 * 3600 * 48_000
"""Most that is made in one call: a day."""

# TOC of full-band CELT, one mono frame (RFC 6716 §3.1), by duration in samples at 48 kHz, longest first.
_TOCS = ((960, 0xF8), (480, 0xF0), (240, 0xE8), (120, 0xE0))


def silent_packets(samples: int, channels: int) -> list[bytes]:
    """Packets of silence that last `samples` at 48 kHz, rounded to the nearest 2.5 ms (halves up).

    As many of 20 ms as fit, then at most one each of 10, 5 and 2.5 ms. BadPcmError: a length below 0 or over
    MAX_SILENCE_SAMPLES, or a channel count other than 1 and 2.
    """
    if channels not in (1, 2):
        raise BadPcmError(f"silence of {channels} channels: 1 or 2 are possible")
    if not 0 <= samples <= MAX_SILENCE_SAMPLES:
        raise BadPcmError(f"silence of {samples} samples: 0 to {MAX_SILENCE_SAMPLES} are possible")
    left = (samples + STEP_SAMPLES // 2) // STEP_SAMPLES * STEP_SAMPLES
    packets: list[bytes] = []
    for size, toc in _TOCS:
        count, left = divmod(left, size)
        packets += [bytes((toc | (channels - 1) << 2, 0xFF, 0xFE))] * count
    return packets
