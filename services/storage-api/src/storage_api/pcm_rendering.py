"""PCM out of many spans: which sample frame of the answer each stretch becomes, and the decoding of one.

Pure but for libopus. Every stretch has its place in the answer before anything is decoded, so stretches can be decoded in parallel,
in any order, and the length is known beforehand. Rounding is done on positions, never on lengths: it cannot add up. All frames lie on the grid
that begins in 1970, on which every run begins: an answer's first is the nearest to its start, so what ends where another begins has none of its frames.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from audiocodec.pcm import SAMPLE_RATES
from audiocodec.span import Span, decode
from storage_api.older_sound import OlderSound
from storage_api.passage import Sound

SILENCE_BYTES: Final = 64 * 1024
"""Silence is sent in pieces of this size."""
BLOCK_BYTES: Final = 64 * 1024
"""What is decoded is put together to blocks of up to this size: longer ones would only be cut again."""
_ZEROS: Final = bytes(SILENCE_BYTES)


@dataclass(frozen=True, slots=True)
class PcmForm:
    """s16le, interleaved."""

    sample_rate: int
    """Hz, one of Opus' five."""
    channels: int
    """1 or 2."""
    origin_48k: int = 0
    """Unix time of what positions are counted from, at 48 kHz: of an answer its start."""

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of all channels."""
        return 2 * self.channels

    def frames(self, samples_48k: int) -> int:
        """The frame nearest to a position at 48 kHz, halves up, counted from the one nearest to the origin."""
        return self._since_1970(self.origin_48k + samples_48k) - self._since_1970(self.origin_48k)

    def first_48k(self, position_48k: int) -> int:
        """Where the frame nearest to a position lies, in samples at 48 kHz after it; less than none where it lies before."""
        at = self.origin_48k + position_48k
        return self._since_1970(at) * (48_000 // self.sample_rate) - at

    def _since_1970(self, at_48k: int) -> int:
        return (at_48k * self.sample_rate + 24_000) // 48_000


def form_of(sample_rate: int, channels: int) -> PcmForm:
    """The form in which a recording of this rate and these channels is decoded: at the next of Opus' rates."""
    return PcmForm(next((rate for rate in SAMPLE_RATES if rate >= sample_rate), SAMPLE_RATES[-1]), channels)


@dataclass(frozen=True, slots=True)
class Block:
    """PCM and where it lies in the answer."""

    first_frame: int
    pcm: bytes


def pcm_block(sound: Sound | OlderSound, position_48k: int, form: PcmForm) -> Block:
    """The sound decoded, or resampled; `position_48k` counts samples since the form's origin.

    CodecError: packets that do not decode.
    """
    blocks = pcm_blocks(sound, position_48k, form)
    return Block(blocks[0].first_frame, b"".join([block.pcm for block in blocks]))


def pcm_blocks(sound: Sound | OlderSound, position_48k: int, form: PcmForm) -> list[Block]:
    """The same in blocks that follow one another, at least one: what is decoded comes in as much as may be sent at once, where a second is no more than that."""
    first = form.frames(position_48k)
    frames = form.frames(position_48k + sound.samples) - first
    late = form.first_48k(position_48k)
    if isinstance(sound, OlderSound):
        return [Block(first, sound.at_rate(form.sample_rate, form.channels, late, frames))]
    blocks: list[Block] = []
    pieces: list[bytes] = []
    size, left = 0, frames * form.frame_bytes
    span, rate, channels = _moved(sound.span, late), form.sample_rate, form.channels
    for decoded in decode(span, sound.preroll, rate, channels, sound.packed):
        if pieces and size + len(decoded) > BLOCK_BYTES:
            blocks.append(Block(first, b"".join(pieces)))
            first += size // form.frame_bytes
            pieces, size = [], 0
        pieces.append(decoded[:left])
        size += len(pieces[-1])
        left -= len(pieces[-1])
    # Less than a frame was rounded away at each end: the last one stands for it.
    last = (pieces[-1][-form.frame_bytes :] if pieces else b"") or bytes(form.frame_bytes)
    blocks.append(Block(first, b"".join((*pieces, last * (left // form.frame_bytes)))))
    return blocks


def _moved(span: Span, late_48k: int) -> Span:
    """The span from so much later on, as far as its packets go, to the end of the last of them."""
    lead = max(0, span.lead + late_48k)
    return replace(span, lead=lead, samples=max(0, span.lead + span.samples + span.trim - lead), trim=0)


def silence(size: int) -> Iterator[bytes]:
    """So many zero bytes, in pieces."""
    while size > 0:
        step = min(size, SILENCE_BYTES)
        yield _ZEROS[:step]
        size -= step
