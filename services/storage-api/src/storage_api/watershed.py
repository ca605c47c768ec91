"""Watersheds: times in a recording at which what lies before and what lies after have nothing to do with each other.

Pure. Owns when a time is one, so that who lists from there on finds what the whole recording would show. Nothing is heard across it: all that
begins before ends by then, and one object alone begins there, with sound. And no session goes back, so that no byte lies on both sides: else which of
the two is played would depend on what is not looked at.
"""

from collections.abc import Iterator
from itertools import pairwise
from operator import itemgetter
from typing import Final

from audiocodec.span import Span
from audiostore.layout import MAX_FILE_SAMPLES
from audiostore.names import conversation_prefix
from storage_api.recording import Recording

LONGEST_MS: Final = MAX_FILE_SAMPLES // 48
"""A batch of ours is refused where it is longer. So long before a watershed is listed too: whether something is stored by now that reaches over it."""
DIGITS: Final = 10
"""Of the seconds in names that sort as their times do: those from 2001 to 2286."""
FIRST_MS: Final = 10 ** (DIGITS - 1) * 1000
END_MS: Final = 10**DIGITS * 1000
"""Unix ms: times between these have so many."""


def sorts_by_time(recording: Recording) -> bool:
    """Whether the order of names is that of time, and no session goes back in time: else there is no watershed that part of it could tell."""
    if recording.tail is not None and recording.tail.unheard:
        return False  # when that was recorded follows from what lies beside it, which a part may not have
    begin = len(conversation_prefix(*recording.conversation))
    for stored in recording.objects:
        name, start_ms = stored.info.name, stored.name.start_ms
        digits = name.find(".", begin) - begin
        if digits != DIGITS or name[begin] == "0" or start_ms != stored.start_48k // 48:
            return False
    spans = [(span.start_48k, span.first_offset, span) for span in _spans(recording)]
    if any(one[0] >= other[0] for one, other in pairwise(spans)):
        spans.sort(key=itemgetter(0, 1))
    reached: dict[tuple[str, int], int] = {}
    for _, first_offset, span in spans:
        session = span.conversation, span.epoch
        if first_offset < reached.get(session, 0):
            return False
        reached[session] = span.end_offset
    return True


def _spans(recording: Recording) -> Iterator[Span]:
    """Of all that can be read."""
    for stored in recording.objects:
        yield from stored.spans
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
