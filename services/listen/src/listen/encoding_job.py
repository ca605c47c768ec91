"""What is to be encoded, and what came of it: the values that pass between the session and the encoder's thread.

Positions here are indexes: samples at the encoder's rate, per channel, from the first one that this encoder takes.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A channel's audio begins here, after a gap, or with its encoder."""

    origin: int
    """Index of the first sample of what follows; negative where it lies before the encoder's beginning."""
    first: int
    """Index from which on it is played: what lies before is dropped, and what is missing up to here is silence."""


@dataclass(frozen=True, slots=True)
class Silence:
    """A channel is silent up to this index."""

    until: int


Operation = Place | Silence | bytes
"""`bytes` are the client's payload: whole samples of PCM, or one message of a compressed codec."""


@dataclass(frozen=True, slots=True)
class EncodeJob:
    """What each channel is to do, in order: near first."""

    channels: tuple[tuple[Operation, ...], ...]
    fresh: bool
    """A new encoder begins with it."""
    end: int | None = None
    """The encoder ends with it, at exactly this index in every channel: everything comes out. None: it goes on."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """What the encoder made of a job, 20 ms a packet."""

    packets: tuple[bytes, ...]
    trim: int
    """Samples at 48 kHz of padding at the very end; 0 unless the encoder ended."""
    lookahead: int
    """Samples at 48 kHz that the decoder gives before the first one that the encoder took."""
    spoiled: int = 0
    """Packets or frames that did not decode: silence of their length stands in their place."""
