"""The cutter: what of a conversation's buffer becomes the next batch, and when. Pure: entries and `now` in, a decision out.

Owns every rule about where a batch ends. It never reads, waits or logs; whoever asks it writes its answer down before acting on it,
so it is free to answer otherwise the next time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from audiobus.chunk import Chunk
from audiobus.cut import Stored
from audiobus.entry_id import EntryId
from audiobus.state import ConversationState, PreRoll
from audiocodec.span import Span
from audiostore.batch import MAX_RUNS, fill
from pusher.arrived import Arrived
from pusher.lineage import goes_on, heard
from pusher.reason import Reason
from pusher.seam import CONTEXT_SAMPLES, LONGEST_SAMPLES, unrest
from pusher.stored_ranges import covers

QUIET_MS = 5_000
"""Where nothing came for this long, nothing is waited for to see how it goes on."""
LEAST_CHOICE_MS = 3_000
"""So much before its end a short batch may end earlier, for a seam that is not heard."""
MAX_SEAMS = 8
"""Places that are looked at, by decoding, before a batch ends where it would have ended anyway."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a batch may grow, and how long it may wait."""

    batch_ms: int = 60_000
    """From the first sample to the last, gaps included."""
    age_ms: int = 60_000
    """The oldest chunk waits no longer."""
    idle_ms: int = 60_000
    """A conversation to which nothing was appended for this long is stored, whatever it has."""
    batch_bytes: int = 6 * 1024 * 1024
    """Of its entries: a minute at 510 kbit/s, the highest rate of RFC 6716 §2.1.1, has less than 4 MiB. Far below what stores take (64 MiB): it is
    in memory several times while it is made, and its pre-roll comes on top."""
    entries: int = 4096
    """Entries in one cut: bounds what empty chunks and session openings can pile up."""
    early: bool = False
    """Redis' memory is short: what is there is stored, however young, from `early_ms` of audio on."""
    early_ms: int = 4_000
    """A batch costs a write to the bucket, and leaves its pre-roll in Redis: less than this frees nothing worth it."""


@dataclass(frozen=True, slots=True)
class Take:
    """Cut now: the first `count` entries."""

    count: int
    first: EntryId
    last: EntryId
    reason: Reason
    start_ms: int | None
    """Unix ms of the first played sample that enters the object, rounded down; None where nothing does."""
    end_ms: int | None
    """Unix ms after the last one, rounded down; None with it."""
    context_samples: int
    """How much of the packets to keep, at 48 kHz, for the next batch to choose its pre-roll from."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before `until_ms` (unix ms); None: there is no entry."""

    until_ms: int | None


@dataclass(frozen=True, slots=True)
class ReadOn:
    """All entries fit, and the buffer has more: give them all."""


Decision = Take | Wait | ReadOn


def decide(
    arrived: Sequence[Arrived],
    state: ConversationState,
    *,
    more: bool,
    now_ms: int,
    limits: Limits,
    phase: float = 1.0,
    exclude: Sequence[Stored] = (),
    since_ms: int | None = None,
) -> Decision:
    """What to do with the buffer.

    Args:
        arrived: its entries from the first on.
        state: what stood in `td:conv` before they were read.
        more: the buffer has entries after these.
        now_ms: unix ms.
        limits: see there.
        phase: 0 to 1, from a hash of the conversation; see `_phased`.
        exclude: bytes that lie in the bucket already.
        since_ms: since when the oldest chunk is known to wait, unix ms: it may say that it was made later, by a clock that is ahead.
    """
    if not arrived:
        return Wait(None)
    count, full, no_room = _fitting(arrived, limits, exclude)
    if full is None and more:
        return ReadOn()
    reason, number = (
        (full, count) if full else _due(arrived, state, now_ms, limits, no_room=no_room, since_ms=since_ms)
    )
    if reason is None:
        return Wait(number)
    context_samples = context_after(reason)
    if reason in (Reason.SIZE, Reason.AGE, Reason.PRESSURE):
        # Nobody asked for this very place: it may be any near it.
        if reason is not Reason.PRESSURE:
            number = _phased(arrived[:number], state, now_ms, limits, phase)
        number, settled = _seam(arrived, number, state, now_ms, limits)
        if settled:
            context_samples = LONGEST_SAMPLES
    return _take(arrived[:number], reason, exclude, context_samples)


def context_after(reason: str) -> int:
    """How much to keep after a cut of which only the reason is known: `Take.context_samples` may be less.

    Much only where the session most likely goes on: what is kept may lie in Redis for a day. And where memory is short, little.
    """
    ended = (Reason.END, Reason.SWITCH, Reason.IDLE, Reason.BOUNDARY, Reason.PRESSURE)
    return LONGEST_SAMPLES if reason in ended else CONTEXT_SAMPLES


def _due(
    arrived: Sequence[Arrived],
    state: ConversationState,
    now_ms: int,
    limits: Limits,
    *,
    no_room: bool,
    since_ms: int | None,
) -> tuple[Reason, int] | tuple[None, int]:
    """Why a batch that could still grow is cut now, and after how many entries; or None, and when there will be a reason."""
    if state.flush is not None and arrived[0].id <= state.flush:
        return Reason.asked(state.flush_reason), sum(one.id <= state.flush for one in arrived)
    if no_room:
        # Waiting for a chunk that does not fit would only cost a second look, a second later.
        return Reason.SIZE, len(arrived)
    idle_ms = state.last_ms + limits.idle_ms
    if now_ms >= idle_ms:
        return Reason.IDLE, len(arrived)
    oldest = oldest_ms(arrived)
    if oldest is None:
        return None, idle_ms
    if since_ms is not None:
        oldest = min(oldest, since_ms)
    aged = now_ms >= oldest + limits.age_ms
    if aged or (limits.early and _samples(arrived) >= limits.early_ms * 48):
        return (Reason.AGE if aged else Reason.PRESSURE), len(arrived)
    return None, min(idle_ms, oldest + limits.age_ms)


def oldest_ms(arrived: Sequence[Arrived]) -> int | None:
    """When the chunk that waits longest was made, unix ms; None without a chunk."""
    return next((one.chunk.at_ms for one in arrived if one.chunk is not None), None)


def _samples(arrived: Sequence[Arrived]) -> int:
    return sum(one.span.samples for one in arrived if one.span is not None)


def _fitting(
    arrived: Sequence[Arrived], limits: Limits, exclude: Sequence[Stored]
) -> tuple[int, Reason | None, bool]:
    """How many entries make the batch; why no more, or None if that were all; and whether one more would find no room."""
    growing = _Growing(limits)
    room_bytes = limits.batch_bytes
    for count, one in enumerate(arrived):
        room_bytes -= one.size_bytes
        # One alone may be as large as it is.
        if count == limits.entries or (count and room_bytes < 0):
            return count, Reason.SIZE, True
        if one.chunk is None or one.span is None:
            continue
        if not one.span.packets:
            growing.skip(one.span)
        elif not covers(exclude, one.span):
            reason = growing.refusal(one.chunk, one.span)
            if reason is not None:
                return count, reason, True
            growing.add(one.chunk, one.span)
        elif growing.first is not None:
            # What follows it goes on from it, and finds its pre-roll only at the start of a file.
            return count, Reason.BOUNDARY, True
    return len(arrived), None, growing.full or room_bytes < arrived[-1].size_bytes


class _Growing:
    """The batch as it grows, entry by entry."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.first: Span | None = None
        """The first audio in it."""
        self._last: Span | None = None
        self._format: tuple[str, int, int] | None = None
        self._runs = 0
        self._length = 0
        """Samples of the last audio in it."""

    @property
    def full(self) -> bool:
        """Whether one more chunk as long as the last would find no room."""
        if self.first is None or self._last is None:
            return False
        return self._last.end_48k + self._length - self.first.start_48k > self._limits.batch_ms * 48

    def refusal(self, chunk: Chunk, span: Span) -> Reason | None:
        """Why this chunk cannot enter; None if it can."""
        if self.first is None or self._last is None:
            return None
        if _format(chunk) != self._format:
            return Reason.BOUNDARY
        if span.end_48k - self.first.start_48k > self._limits.batch_ms * 48:
            return Reason.SIZE
        if span.continues(self._last):
            return None
        anew = span.starts and span.start_48k <= self._last.end_48k
        if anew or fill(self._last, span) is None:
            return Reason.BOUNDARY
        return Reason.SIZE if self._runs == MAX_RUNS else None

    def add(self, chunk: Chunk, span: Span) -> None:
        """Takes it in."""
        if self._last is None or not span.continues(self._last):
            self._runs += 1
        self.first = self.first or span
        self._last = span
        self._length = span.samples
        self._format = _format(chunk)

    def skip(self, span: Span) -> None:
        """Bytes without audio belong to the run that they stand in."""
        if self._last is not None and span.continues(self._last):
            self._last = span


def _format(chunk: Chunk) -> tuple[str, int, int]:
    return chunk.source, chunk.sample_rate, chunk.channels


def _phased(
    arrived: Sequence[Arrived], state: ConversationState, now_ms: int, limits: Limits, phase: float
) -> int:
    """How many of these entries to take, so that conversations that began, or were stored early, together do not write together for ever.

    Only the first batch of a conversation that is recorded as it happens, and the first after one that was hurried, is shortened, to between
    a quarter and the whole of a batch: all later ones then fall due at another moment of the minute for each conversation.
    """
    oldest = oldest_ms(arrived)
    if (
        (state.settled is not None and not state.hurried)
        or oldest is None
        or now_ms - oldest < limits.age_ms // 2
    ):
        return len(arrived)
    spans = [(index, span) for index, one in enumerate(arrived) if (span := one.audio)]
    if not spans:
        return len(arrived)
    end_48k = spans[0][1].start_48k + int(limits.batch_ms * 48 * (0.25 + 0.75 * phase))
    return next((index for index, span in spans[1:] if span.end_48k > end_48k), len(arrived))


def _seam(
    arrived: Sequence[Arrived], count: int, state: ConversationState, now_ms: int, limits: Limits
) -> tuple[int, bool]:
    """How many of the first `count` entries to take so that the next batch, with 320 ms of pre-roll, goes on as if nothing were cut.

    And whether it does.

    Fewer, by a quarter of a batch at the most (of short ones by three seconds, or half), where a decoder would be heard to begin anew, and where the next chunk is not there yet,
    so that it cannot be known. Where all that were looked at are bad, one that cannot be known; else the best.
    """
    last = _last_audio(arrived[:count])
    if last is None:
        return count, True
    least_48k = last.end_48k - max(limits.batch_ms // 4, min(LEAST_CHOICE_MS, limits.batch_ms // 2)) * 48
    seams: list[tuple[float, int]] = []
    known = True
    for number in range(count, 0, -1):
        before = _last_audio(arrived[:number])
        if before is None or before.end_48k < least_48k or len(seams) == MAX_SEAMS:
            break
        after = next((one for one in arrived[number:] if one.audio is not None or one.chunk is None), None)
        kept = heard(arrived[:number], state.preroll, LONGEST_SAMPLES)
        if kept is None or (after is not None and not _goes_on(after, kept)):
            return number, True
        if after is None or after.chunk is None:
            if now_ms - state.last_ms >= QUIET_MS:
                return number, False
            known = False
            continue
        far = unrest(kept.packets, after.chunk.packets, after.chunk.channels, after.chunk.lead)
        if far <= 1:
            return number, True
        seams.append((far, -number))
    return (-min(seams)[1] if known and seams else count), False


def _goes_on(one: Arrived, kept: PreRoll) -> bool:
    return one.span is not None and goes_on(one.span, kept)


def _last_audio(arrived: Sequence[Arrived]) -> Span | None:
    return next((one.audio for one in reversed(arrived) if one.audio is not None), None)


def _take(
    arrived: Sequence[Arrived], reason: Reason, exclude: Sequence[Stored], context_samples: int
) -> Take:
    spans = [one.audio for one in arrived if one.audio is not None and not covers(exclude, one.audio)]
    return Take(
        count=len(arrived),
        first=arrived[0].id,
        last=arrived[-1].id,
        reason=reason,
        start_ms=spans[0].start_ms if spans else None,
        end_ms=spans[-1].end_ms if spans else None,
        context_samples=context_samples,
    )
