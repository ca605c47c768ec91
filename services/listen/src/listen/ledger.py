"""Which payload bytes the stored packets hold: what each message became, in the order sent.

Owns the offset up to which everything is stored, and where each channel's next byte lies there. PCM is cut at whole samples
anywhere in a message, a compressed codec between messages. Positions are ticks since the run's start. Must not know packets.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from listen.audio_format import SOURCE_SAMPLE_TICKS


@dataclass(slots=True)
class _Slice:
    """Bytes that follow one another in the session, of one channel."""

    channel: int | None
    """None: they are no audio, and only count."""
    first_offset: int
    """Looked at for PCM only."""
    end_offset: int
    start: int
    """Of its first sample: of PCM, of the first one that it completes."""
    samples: int
    warm_up: int
    """Ticks after its end that must be stored too before it counts: a decoder that begins after it gives them wrongly."""
    odd_before: int
    """Bytes of its first sample that came earlier."""
    odd: bytes
    """What its channel has after it of a sample that is not whole."""
    plays_from: int | None = None
    """Where its channel is played from that was silent before; None where it only went on."""


class Ledger:
    """One encoder's payload."""

    def __init__(self, sample_bytes: int, offset: int, odd: Sequence[bytes]) -> None:
        """Nothing yet: up to byte `offset` everything is stored. `odd`: what each channel has of a sample begun before.

        `sample_bytes` of PCM; 0 for a compressed codec.
        """
        self.offset = offset
        """Up to here everything is stored."""
        self.odd = tuple(odd)
        """At `offset`, what each channel has of a sample that ends later."""
        self._sample_bytes = sample_bytes
        self._slices: deque[_Slice] = deque()
        self._passed = list(odd)
        """As `odd`, after the slices that are done with."""

    @property
    def pieces(self) -> int:
        """How many entries it has."""
        return len(self._slices)

    @property
    def final_offset(self) -> int:
        """What `offset` will be when everything is stored. Half a sample at the very end never is."""
        for piece in reversed(self._slices):
            if piece.samples or not self._divides(piece):
                return self._cut(piece, piece.samples)
        return self.offset

    def add_pcm(
        self,
        channel: int,
        first_offset: int,
        end_offset: int,
        start: int,
        samples: int,
        odd_before: int,
        odd: bytes,
    ) -> None:
        """PCM that completes `samples`, the first of them at `start`. What goes on where the last one ended is one with it.

        `odd_before` bytes of the first one came earlier; `odd` is what the channel has now of one that is not whole.
        """
        last = self._slices[-1] if self._slices else None
        if (
            last is not None
            and last.channel == channel
            and last.start + last.samples * SOURCE_SAMPLE_TICKS == start
        ):
            last.end_offset = end_offset
            last.samples += samples
            last.odd = odd
        else:
            self._slices.append(_Slice(channel, first_offset, end_offset, start, samples, 0, odd_before, odd))

    def extend(self, end_offset: int, samples: int) -> bool:
        """Whole samples of the only channel there is, right after what came last. False: there is nothing to extend."""
        if not self._slices:
            return False
        last = self._slices[-1]
        last.end_offset = end_offset
        last.samples += samples
        return True

    def add(
        self,
        channel: int,
        end_offset: int,
        start: int,
        samples: int,
        warm_up: int,
        plays_from: int | None = None,
    ) -> None:
        """A message of a compressed codec: `samples` from `start` on; `plays_from` where its channel was silent before."""
        self._slices.append(
            _Slice(channel, end_offset, end_offset, start, samples, warm_up, 0, b"", plays_from)
        )

    def leave_out(self, end_offset: int) -> None:
        """Bytes that are no audio: they count when everything before them does."""
        last = self._slices[-1] if self._slices else None
        if last is not None and last.channel is None:
            last.first_offset = last.end_offset = end_offset
            return
        self._slices.append(_Slice(None, end_offset, end_offset, 0, 0, 0, 0, b""))

    def cover(self, stored_to: int | None) -> int:
        """Packets up to a position are stored (None: everything is); answers `offset`."""
        while self._slices:
            piece = self._slices[0]
            samples = piece.samples
            if stored_to is not None and piece.channel is not None:
                samples = (stored_to - piece.warm_up - piece.start) // SOURCE_SAMPLE_TICKS
            if samples < piece.samples:
                if samples > 0 and self._divides(piece):
                    self._passed[piece.channel or 0] = b""
                    self._move(self._cut(piece, samples))
                break
            self._slices.popleft()
            if piece.channel is not None and piece.samples:
                self._passed[piece.channel] = b""
            if piece.samples or not self._divides(piece):
                self._move(self._cut(piece, piece.samples))
            if piece.channel is not None:
                self._passed[piece.channel] = piece.odd
        return self.offset

    def cover_next(self, stored_to: int) -> int:
        """Of what only does not count as it would be needed again, one message shall; answers `offset`."""
        piece = self._slices[0] if self._slices else None
        if piece is not None and piece.start + piece.samples * SOURCE_SAMPLE_TICKS <= stored_to:
            self._move(self._slices.popleft().end_offset)
        return self.offset

    def next_of(self, channel: int, stored_to: int, otherwise: int | None) -> int | None:
        """Where the channel's next sample after `offset` lies; `otherwise` if none of it has come.

        None: it was silent, and nothing of what it said since is stored: let it be placed anew, lead-in and all.
        """
        for piece in self._slices:
            if piece.channel == channel:
                if piece.plays_from is not None and piece.plays_from >= stored_to:
                    return None
                partly = self.offset - piece.first_offset + piece.odd_before if self._sample_bytes else 0
                return piece.start + max(0, partly) // (self._sample_bytes or 1) * SOURCE_SAMPLE_TICKS
        return otherwise

    def _divides(self, piece: _Slice) -> bool:
        return piece.channel is not None and self._sample_bytes > 0

    def _cut(self, piece: _Slice, samples: int) -> int:
        """The offset after so many samples of it."""
        if not self._divides(piece):
            return piece.end_offset
        return piece.first_offset + samples * self._sample_bytes - piece.odd_before

    def _move(self, offset: int) -> None:
        self.offset = offset
        self.odd = tuple(self._passed)
