"""One stretch: the life of one encoder, from its first sample to its flush, and the payload that goes into it.

Owns what no job has taken, and the way between offsets and the packets that came out: after n packets, n frames less the
encoder's lookahead are stored. Positions are ticks since the run's start. Must not know channels' states: the lane does.
"""

from dataclasses import dataclass
from typing import Final

from audiobus import Lag
from listen.audio_format import FRAME_SAMPLES, AudioFormat
from listen.encoding_job import Encoded, EncodeJob, Place
from listen.feed import Feed
from listen.ledger import Ledger

NO_LAG: Final = Lag(0)
NextTicks = tuple[int | None, ...]
"""Where each channel's next sample lies; None for one that is silent."""


@dataclass(frozen=True, slots=True)
class _End:
    """How a stretch ends."""

    tick: int
    offset: int
    """The session's byte up to which it then goes."""
    resumable: bool
    """A client comes back: what is not stored, and what its decoder warms up with, does not count, but the offset moves."""
    before: NextTicks
    """Before the shorter channel was filled up to the longer one."""
    after: NextTicks


class Stretch:
    """What one encoder takes."""

    def __init__(
        self,
        audio_format: AudioFormat,
        run_start_ms: int | None,
        first_sample: int,
        offset: int,
        odd: tuple[bytes, ...],
    ) -> None:
        self.run_start_ms = run_start_ms
        """None as long as the session has no audio."""
        self.first_sample = first_sample
        """Position in the run of the encoder's first sample, at 48 kHz."""
        self.ledger = Ledger(audio_format.sample_bytes, offset, odd)
        self.feeds = tuple(Feed(audio_format.sample_bytes) for _ in range(audio_format.channels))
        self.since_ms = 0
        """When the oldest payload came that no job has taken."""
        self.began = False
        """A job was made of it: there is an encoder."""
        self.pieces_at_end = 0
        """How many there were when it ended."""
        self.end: _End | None = None
        """None while it goes on."""
        self._tick_48k = audio_format.source_rate
        self._step = audio_format.step_ticks
        self.start = first_sample * self._tick_48k
        self.taken_to = self.start
        """Up to where jobs were made of it."""
        self._packets = 0
        self._stored_to = self.start
        self._complete = False
        """Everything is out, and counts."""

    @property
    def pieces(self) -> int:
        """How many entries it keeps beside the payload."""
        return self.ledger.pieces + sum(feed.pieces for feed in self.feeds)

    @property
    def waits(self) -> bool:
        """Whether a job could be made of what it holds."""
        return not all(feed.empty for feed in self.feeds)

    @property
    def empty(self) -> bool:
        """Whether there never was, and will be, anything to encode."""
        return not self.began and not self.waits

    def index(self, tick: int) -> int:
        """The encoder's sample that lies nearest to a position, from its first on."""
        return (2 * (tick - self.start) + self._step) // (2 * self._step)

    def place(self, channel: int, origin: int, first: int) -> None:
        """A channel's audio begins at `origin`, and is played from `first` on."""
        begins = self.index(origin)
        self.feeds[channel].place(Place(begins, max(begins, self.index(max(first, self.start)))), origin)

    def silence(self, channel: int, until: int, tick: int) -> None:
        """A channel is silent from `tick` on, up to a position."""
        self.feeds[channel].silence(self.index(until), tick)

    def end_tick(self, standing: int) -> int:
        """Where the encoder ends if the longest channel stands there: at a whole sample, not before its beginning."""
        return self.start + max(0, self.index(standing)) * self._step

    def finish(self, tick: int, offset: int, *, resumable: bool, before: NextTicks, after: NextTicks) -> None:
        """It ends at a position that `end_tick` named, with the session's byte `offset`."""
        self.pieces_at_end = self.pieces
        self.end = _End(tick, offset, resumable, before, after)

    def job(self, before: int | None) -> EncodeJob:
        """What lies before a position; None: everything, and the encoder ends."""
        ends = before is None and self.end is not None
        job = EncodeJob(
            channels=tuple(feed.take(before) for feed in self.feeds),
            fresh=not self.began,
            end=self.index(self.end.tick) if ends and self.end else None,
        )
        self.began = True
        if before is not None:
            self.taken_to = before
        return job

    def encoded(self, result: Encoded, *, last: bool) -> int:
        """What came of a job; answers the offset up to which the packets so far hold everything."""
        self._packets += len(result.packets)
        if not last or self.end is None:
            self._stored_to = self.start + (self._packets * FRAME_SAMPLES - result.lookahead) * self._tick_48k
            return self.ledger.cover(self._stored_to)
        self._stored_to = self.end.tick
        before = self.ledger.offset
        if self.end.resumable:
            if self.ledger.cover(self.end.tick) == before and self._packets:
                self.ledger.cover_next(self.end.tick)
            return self.ledger.offset
        self.ledger.cover(None)
        self._complete = True
        return self.end.offset

    def lags(self, live: NextTicks) -> tuple[Lag, ...]:
        """How far each channel's next byte lies before what is stored, at the offset that `encoded` answered last.

        `live` says where the channels stand now; of a stretch that has ended its own notes are looked at instead.
        """
        if self.end is not None:
            live = self.end.after if self._complete else self.end.before
        lags = []
        for channel, standing in enumerate(live):
            tick = self.ledger.next_of(channel, self._stored_to, standing)
            lags.append(Lag(None if tick is None else self._stored_to - tick, self.ledger.odd[channel]))
        return () if all(lag == NO_LAG for lag in lags) else tuple(lags)
