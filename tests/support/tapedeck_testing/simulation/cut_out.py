"""What a correct history is where parts of a recording were deleted: what must be gone, what may be, and that all else is there once. Pure.

A part is told by time, and so is what must be gone of it: no object holds a moment of it that Redis had taken before the request that was answered.
What may be gone is what touches it: packets as a whole, dead letters as a whole. Whether a deletion that nobody was told of has happened, nobody
knows: it may have, and takes no more than one that was answered.

What is left of a batch says of its bytes only about which they are (`storage_api.cutting.rest`), so packets are told by their numbers here, and PCM by
its time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tapedeck_testing.simulation.history import (
    TOLERANCE,
    Books,
    Given,
    at_rest,
    doubled,
    packet_times,
    packets,
)
from tapedeck_testing.simulation.tape import LEAD, PACKET_MS, number_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from audiocodec.span import Span
    from tapedeck_testing.simulation.ledger import Held
    from tapedeck_testing.simulation.recorder import Spell, Story

FOREVER: Final = 1 << 62
PACKET: Final = PACKET_MS * 48
"""Samples at 48 kHz."""
ENCODED: Final = 20 * 48
"""So long are the packets that the server makes of PCM."""

Stretch = tuple[int, int]
"""From a sample at 48 kHz since 1970 up to before another."""


@dataclass(slots=True)
class Part:
    """What somebody wants deleted: a stretch of time, or the batch or chunk that begins at some time."""

    start_ms: int | None
    """Unix ms; None for the beginning."""
    end_ms: int | None
    """None for all that is recorded by now."""
    row: tuple[Stretch, ...] | None = None
    """Of what begins at `start_ms`: when it is heard. None of a stretch of time."""
    asked_s: float | None = None
    """When the request was made that was answered as done, by the loop's clock; None where none was."""
    done_s: float | None = None

    @property
    def wanted(self) -> Sequence[Stretch]:
        """What was shown to whoever asks, in samples."""
        return [self.stretch] if self.row is None else self.row

    @property
    def stretch(self) -> Stretch:
        """Its time in samples."""
        start = 0 if self.start_ms is None else self.start_ms * 48
        return start, FOREVER if self.end_ms is None else self.end_ms * 48


def must_be_gone(story: Story, chunks: Iterable[Held], parts: Iterable[Part]) -> list[Stretch]:
    """What of it is nowhere any more."""
    done = [(part.asked_s, one) for part in parts if part.asked_s is not None for one in part.wanted]
    found = []
    for chunk in chunks if done else ():
        spell = next((one for one in story.spells if one.epoch == chunk.id.epoch), None)
        if spell is None:
            continue
        first, end = spell.base + chunk.first_offset, spell.base + chunk.id.offset
        for stretch in _heard(story, first, end):
            for asked_s, wanted in done:
                both = max(stretch[0], wanted[0]), min(stretch[1], wanted[1])
                if chunk.appended_s < asked_s and both[0] < both[1]:
                    found.append(both)
    return found


def _heard(story: Story, first: int, end: int) -> list[Stretch]:
    """When these bytes of a tape are played, whatever the encoder looks ahead and however starts are rounded."""
    tape, found = story.tape, []
    for index, captured_ms in enumerate(tape.captured_ms):
        begins, ends = max(first, tape.begins[index]), min(end, tape.begins[index + 1])
        if begins >= ends:
            continue
        start, over = captured_ms * 48, captured_ms * 48 + PACKET
        if tape.pcm:
            size = tape.begins[index + 1] - tape.begins[index]
            start, over = (
                start + PACKET * (begins - tape.begins[index]) // size,
                start + PACKET * (ends - tape.begins[index]) // size,
            )
        found.append((start + TOLERANCE, over - LEAD - TOLERANCE))
    return [one for one in found if one[0] < one[1]]


def may_be_gone(
    story: Story, chunks: Sequence[Held], stretches: Sequence[Stretch], *, letters: bool
) -> frozenset[int]:
    """Packets that one of the stretches touches. `letters`: chunks went as a whole, for they waited, or were dead letters."""
    tape = story.tape
    more = (ENCODED if tape.pcm else 0) + LEAD + TOLERANCE
    found = {
        index
        for index, captured_ms in enumerate(tape.captured_ms)
        for start, end in stretches
        if start < captured_ms * 48 + PACKET + more and captured_ms * 48 - more < end
    }
    for spell in story.spells if letters else ():
        for chunk in chunks:
            inside = _inside(story, spell, chunk)
            if found.intersection(inside):
                found.update(inside)
    return frozenset(found)


def _inside(story: Story, spell: Spell, chunk: Held | Given) -> list[int]:
    """The packets of which a chunk holds some."""
    epoch, end = (
        (chunk.epoch, chunk.end_offset) if isinstance(chunk, Given) else (chunk.id.epoch, chunk.id.offset)
    )
    if epoch != spell.epoch:
        return []
    return _between(story, spell.base + chunk.first_offset, spell.base + end)


def _between(story: Story, first: int, end: int) -> list[int]:
    begins = story.tape.begins
    return [index for index in range(len(begins) - 1) if begins[index] < end and first < begins[index + 1]]


def came_back(spans: Iterable[Span], gone: Sequence[Stretch]) -> list[str]:
    """What of it is heard all the same."""
    return [
        f"deleted, and there: {(max(start, span.start_48k) - start) / 48:.1f} ms into {start / 48:.1f} to {end / 48:.1f}"
        for span in spans
        for start, end in gone
        if span.start_48k < end and start < span.end_48k
    ][:3]


def wrong_in_part(
    story: Story,
    spans: Sequence[Span],
    prerolls: Iterable[bytes],
    books: Books,
    gone: Sequence[Stretch],
    may: Iterable[int],
    given: Sequence[Given],
) -> list[str]:
    """What is wrong with a recording at rest of which parts were to be deleted.

    `gone`: what must be; `may`: packets that may be; `given`: what else may be missing.
    """
    ordered = sorted(spans, key=lambda span: (span.epoch, span.first_offset, span.end_offset))
    found = [*story.violations, *doubled(ordered, ()), *at_rest(books)]
    if story.deleted:
        return [*found, *(["it was deleted, and something of it lies in the bucket"] if ordered else [])]
    if not story.done:
        found.append(f"its device never ended: acked {story.acked} of {story.tape.total}")
    there = sum(span.samples for span in ordered)
    if books.balance.stored != there:
        found.append(f"{books.balance.stored} samples are counted as stored, {there} are")
    may = set(may)
    for spell in story.spells:
        for one in given:
            may.update(_inside(story, spell, one))
    found += came_back(ordered, gone)
    found += _all_else(story, ordered, may)
    if story.tape.pcm:
        return found
    found += _kept_before(story, prerolls, gone)
    missing = [
        Given(spell.epoch, story.tape.begins[index] - spell.base, story.tape.begins[index + 1] - spell.base)
        for index in may
        for spell in story.spells
    ]
    return [*found, *packet_times(story, ordered), *packets(story, ordered, missing, lossy=False)]


def _kept_before(story: Story, prerolls: Iterable[bytes], gone: Sequence[Stretch]) -> list[str]:
    """What of it is kept for a decoder."""
    found = []
    for packet in prerolls:
        index = number_of(packet)[1]
        start = story.tape.captured_ms[index] * 48
        if any(one < start + PACKET and start < end for one, end in gone):
            found.append(f"deleted, and kept before a batch: packet {index}")
    return found


def _all_else(story: Story, spans: Sequence[Span], may: set[int]) -> list[str]:
    """Every acked packet that need not be gone is heard when it was captured."""
    tape = story.tape
    missing = []
    for spell in story.spells:
        promised = spell.acked if story.forgot or spell.end is None else max(spell.acked, spell.end)
        whole = [
            index
            for index in _between(story, spell.base, promised)
            if spell.base <= tape.begins[index] and tape.begins[index + 1] <= promised
        ]
        for index in whole:
            start = tape.captured_ms[index] * 48 + TOLERANCE
            if index not in may and not _covered(start, start + PACKET - LEAD - 2 * TOLERANCE, spans):
                missing.append(index)
    return [f"{len(missing)} packets are not heard, and nobody wanted that: {missing[:5]}"] if missing else []


def _covered(start: int, end: int, spans: Sequence[Span]) -> bool:
    at = start
    for span in sorted(spans, key=lambda span: span.start_48k):
        # Between two runs less than a millisecond may be left out.
        if span.start_48k <= at + TOLERANCE:
            at = max(at, span.end_48k)
    return at >= end
