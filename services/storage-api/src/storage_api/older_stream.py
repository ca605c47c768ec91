"""One encoder over older audio that follows one another: PCM in, packets out, exact to the sample from its first to its last.

Owns the encoder's life. Within one stream there is no seam and no drift, however many objects it comes from. Only at its two ends is
there something to hide: 6.5 ms of lead-in before the first sample, and up to 20 ms of padding after the last.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from audiocodec.encoder import Encoder
from audiostore.legacy import SAMPLE_RATE
from storage_api.older_sound import STEP_48K

PIECE_BYTES: Final = 2 * SAMPLE_RATE
"""A second is encoded at once: then a page may go."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How older audio is encoded."""

    bitrate: int = 24_000
    """Bit/s."""
    complexity: int = 10
    """0 (fast) to 10 (best)."""


class OlderStream:
    """The packets of one stream, in order. Positions are samples at 48 kHz since 1970."""

    def __init__(self, encoding: Encoding, next_48k: int) -> None:
        """`next_48k`: where the first sample lies that it is given."""
        self._encoder = Encoder(SAMPLE_RATE, 1, bitrate=encoding.bitrate, complexity=encoding.complexity)
        self.lead = self._encoder.lookahead
        """Samples that come out of the first packets before the first that was given."""
        self.next_48k = next_48k
        """Where the sample lies that comes next."""

    def silence(self, samples: int) -> Iterator[bytes]:
        """Packets, after so many samples of silence (at 48 kHz; less than one of ours is left out)."""
        yield from self.take(bytes(samples // STEP_48K * 2))

    def take(self, pcm: bytes) -> Iterator[bytes]:
        """The packets that are complete with this PCM."""
        for at in range(0, len(pcm), PIECE_BYTES):
            piece = pcm[at : at + PIECE_BYTES]
            self.next_48k += len(piece) // 2 * STEP_48K
            yield from self._encoder.encode(piece)

    def finish(self) -> tuple[list[bytes], int]:
        """The last packets, and how many samples at their end, at 48 kHz, are padding."""
        return self._encoder.finish()
