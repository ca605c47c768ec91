"""What PCM Opus takes and gives: signed 16-bit little-endian, interleaved, at five rates.

Owns the check of a rate and channel count. Converts nothing.
"""

from audiocodec.errors import BadPcmError

SAMPLE_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)
"""Hz. Others must be resampled first."""


def check_format(sample_rate: int, channels: int) -> None:
    """BadPcmError unless Opus can code this rate and number of channels."""
    if sample_rate not in SAMPLE_RATES:
        raise BadPcmError(f"sample rate {sample_rate}: Opus has {', '.join(map(str, SAMPLE_RATES))} Hz only")
    if channels not in (1, 2):
        raise BadPcmError(f"{channels} channels: 1 or 2 are possible")
