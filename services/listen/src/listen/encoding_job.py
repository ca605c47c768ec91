"""What is to be encoded, and what came of it: the two values that pass between the session and the encoder's thread."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EncodeJob:
    """PCM as the client sent it, whole samples; without `flush` whole frames of 20 ms."""

    pcm: bytes
    fresh: bool
    """A new encoder begins with it."""
    flush: bool
    """The encoder ends with it: everything comes out."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """What the encoder made of a job, 20 ms a packet."""

    packets: tuple[bytes, ...]
    trim: int
    """Samples at 48 kHz of padding at the very end; 0 without flush."""
    lookahead: int
    """Samples at 48 kHz that the decoder gives before the first one that the encoder took."""
