"""PCM as everything here takes and gives it: signed 16-bit little-endian, interleaved.

Owns the check of rate, channel count and length, and the ways between one channel and two.
"""

from __future__ import annotations

from audiocodec.errors import BadPcmError

SAMPLE_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)
"""Hz, that Opus has. Others must be resampled first."""
MAX_CHANNELS = 8
"""Most that are mixed or resampled; Opus takes 1 or 2."""


def check_format(sample_rate: int, channels: int) -> None:
    """BadPcmError unless Opus can code this rate and number of channels."""
    if sample_rate not in SAMPLE_RATES:
        raise BadPcmError(f"sample rate {sample_rate}: Opus has {', '.join(map(str, SAMPLE_RATES))} Hz only")
    if channels not in (1, 2):
        raise BadPcmError(f"{channels} channels: 1 or 2 are possible")


def check_whole(pcm: bytes, channels: int) -> None:
    """BadPcmError unless these are whole sample frames, of a sample for each channel."""
    if len(pcm) % (2 * channels):
        raise BadPcmError(f"{len(pcm)} bytes of PCM: not a multiple of {2 * channels}")


def downmix(pcm: bytes, channels: int) -> bytes:
    """One channel, the mean of all of them, halves rounded up; what has one channel comes back as it is.

    BadPcmError: no whole number of sample frames, or channels not 1 to MAX_CHANNELS.
    """
    if not 1 <= channels <= MAX_CHANNELS:
        raise BadPcmError(f"{channels} channels: 1 to {MAX_CHANNELS} are possible")
    check_whole(pcm, channels)
    if channels == 1:
        return pcm
    import numpy as np  # noqa: PLC0415 - 60 ms that only who mixes shall pay

    samples = np.frombuffer(pcm, "<i2").reshape(-1, channels)
    if channels == 2:
        mixed = (samples[:, 0].astype(np.int32) + samples[:, 1] + 1) >> 1
    else:
        mixed = (2 * samples.sum(axis=1, dtype=np.int32) + channels) // (2 * channels)
    return bytes(mixed.astype("<i2"))


def interleave(near: bytes, far: bytes) -> bytes:
    """Two channels of one length as one stereo stream, near left and far right.

    BadPcmError: not of one length, or no whole number of samples.
    """
    check_whole(near, 1)
    if len(near) != len(far):
        raise BadPcmError(f"channels of {len(near)} and {len(far)} bytes of PCM: they must be of one length")
    import numpy as np  # noqa: PLC0415 - see `downmix`

    both = np.empty((len(near) // 2, 2), "<i2")
    both[:, 0] = np.frombuffer(near, "<i2")
    both[:, 1] = np.frombuffer(far, "<i2")
    return both.tobytes()
