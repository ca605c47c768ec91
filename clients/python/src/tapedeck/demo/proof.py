"""The lines of the proof: what was sent and what came back in, verdicts out.

Owns what is good enough. Must not do: I/O.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tapedeck.demo.comparison import Samples, compare
from tapedeck.sending import Sent

MIN_CORRELATION = 0.9
MIN_SNR_DB = 8.0
MAX_SPECTRAL_DISTANCE_DB = 8.0
"""24 kbit/s speech of this codec measures 0.97, 12 dB and 5.8 dB; the same speech one second late 0.06 and 21 dB."""
MAX_RUNNER_UP = 0.5
MAX_STORE_RATIO = 0.125
"""Of the PCM's bytes: about a tenth, with the container."""


@dataclass(frozen=True, slots=True)
class ProofLine:
    """One thing that was to be shown."""

    claim: str
    found: str
    ok: bool


def sending_lines(sent: Sent) -> list[ProofLine]:
    """What the client was told."""
    kind = sent.codec
    return [
        ProofLine(
            f"{kind}: every byte that was sent is acknowledged",
            f"{sent.acked_bytes} of {sent.sent_bytes} bytes",
            sent.acked_bytes == sent.sent_bytes > 0,
        ),
        ProofLine(
            f"{kind}: every byte is stored",
            f"{sent.stored_bytes} of {sent.sent_bytes} bytes",
            sent.stored and sent.stored_bytes == sent.sent_bytes,
        ),
    ]


def sound_lines(kind: str, source: Samples, heard: Samples, *, extra_samples: int = 0) -> list[ProofLine]:
    """Decoded audio against what was recorded. `extra_samples`: padding that the sender's own encoder added."""
    count = ProofLine(
        f"{kind}: as many samples come back as went in",
        f"{len(heard)} of {len(source) + extra_samples}",
        len(heard) == len(source) + extra_samples,
    )
    if not heard.any():
        return [count, ProofLine(f"{kind}: it sounds the same", "silence came back", ok=False)]
    found = compare(source, heard)
    return [
        count,
        ProofLine(
            f"{kind}: it is not a sample late or early",
            f"lag {found.lag}, correlation {found.correlation:.3f} (next best lag {found.runner_up:.2f} of that)",
            found.lag == 0 and found.correlation >= MIN_CORRELATION and found.runner_up <= MAX_RUNNER_UP,
        ),
        ProofLine(
            f"{kind}: it sounds the same",
            f"SNR {found.snr_db:.1f} dB, log-spectral distance {found.spectral_distance_db:.1f} dB",
            found.snr_db >= MIN_SNR_DB and found.spectral_distance_db <= MAX_SPECTRAL_DISTANCE_DB,
        ),
    ]


def packet_line(sent: Sequence[bytes], back: Sequence[bytes]) -> ProofLine:
    """The device's own packets: each once, in order, byte for byte."""
    same = sum(a == b for a, b in zip(sent, back, strict=False))
    return ProofLine(
        "opus: every packet comes back byte for byte, once, in order",
        f"{same} of {len(sent)} the same, {len(back)} came back",
        list(sent) == list(back) and len(sent) > 0,
    )


def size_line(stored_bytes: int, pcm_bytes: int) -> ProofLine:
    """What the store costs."""
    ratio = stored_bytes / pcm_bytes
    return ProofLine(
        "pcm16: the store holds about a tenth of the bytes",
        f"{stored_bytes} of {pcm_bytes} bytes, {ratio:.1%}",
        0 < ratio <= MAX_STORE_RATIO,
    )


def samples_of(pcm: bytes) -> Samples:
    """s16le mono PCM as an array."""
    return np.frombuffer(pcm, dtype="<i2").astype(np.int16)
