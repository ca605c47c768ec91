"""Watersheds: times in a recording at which what lies before and what lies after have nothing to do with each other.

Pure. Owns when a time is one, so that who lists from there on finds what the whole recording would show. Nothing is heard across it: all that
begins before ends by then, and one object alone begins there, with sound. And no session goes back, so that no byte lies on both sides: else which of
the two is played would depend on what is not looked at.
"""

from collections.abc import Iterator
from typing import Final

from audiocodec.span import Span
from audiostore.batch import BatchFacts
from audiostore.layout import MAX_FILE_SAMPLES
from audiostore.names import conversation_prefix, timestamp
from storage_api.recording import Recording

LONGEST_MS: Final = MAX_FILE_SAMPLES // 48
"""A batch of ours is refused where it is longer. So long before a watershed is listed too: whether something is stored by now that reaches over it."""
FIRST_MS: Final = 1_000_000_000_000
END_MS: Final = 10_000_000_000_000
"""Between these, 2001 and 2286, names sort as their times do: all have ten digits of seconds."""


def sorts_by_time(recording: Recording) -> bool:
    """Whether the order of names is that of time, and no session goes back in time: else there is no watershed that part of it could tell."""
    prefix = conversation_prefix(*recording.conversation)
    for stored in recording.objects:
        start_ms = stored.name.start_ms
        told = FIRST_MS <= start_ms < END_MS and start_ms == stored.start_48k // 48
        if not told or not stored.info.name.startswith(f"{prefix}{timestamp(start_ms)}"):
            return False
    spans = [
        (span.start_48k, span.first_offset, span.end_offset, (span.conversation, span.epoch))
        for span in _spans(recording)
    ]
    spans.sort()
    reached: dict[tuple[str, int], int] = {}
    for _, first_offset, end_offset, session in spans:
        if first_offset < reached.get(session, 0):
            return False
        reached[session] = end_offset
    return True


def _spans(recording: Recording) -> Iterator[Span]:
    """Of all that can be read: those of the pieces, which are not made for it."""
    for stored in recording.objects:
        facts = stored.verdict.facts
        if isinstance(facts, BatchFacts) and stored.reason is None:
            yield from facts.spans
        else:
            yield from (piece.span for piece in stored.pieces)
    for live in recording.tail.chunks if recording.tail else ():
        yield live.span


def is_watershed(recording: Recording, at_48k: int) -> bool:
    """Whether this time is one, as far as this part of the recording tells."""
    return last_watershed(recording, at_48k, at_48k // 48) == at_48k


def last_watershed(recording: Recording, first_48k: int, last_ms: int) -> int | None:
    """The last one from `first_48k` up to the object that begins in the millisecond `last_ms`; None where there is none. At 48 kHz.

    What begins by `last_ms` must all be in the recording, but for what lies before a watershed.
    """
    # Start, end, and whether sound of an object begins there.
    lying = [(one.start_48k, one.end_48k, one.reason is None) for one in recording.objects]
    if recording.tail is not None:
        lying += [(live.span.start_48k, live.span.end_48k, False) for live in recording.tail.chunks]
    lying.sort()
    found = reached = None
    for at, (start, end, sounds) in enumerate(lying):
        if start // 48 > last_ms:
            break
        alone = (at == 0 or lying[at - 1][0] // 48 < start // 48) and (
            at + 1 == len(lying) or lying[at + 1][0] // 48 > start // 48
        )
        if sounds and alone and start >= first_48k and (reached is None or reached <= start):
            found = start
        reached = end if reached is None else max(reached, end)
    return found
