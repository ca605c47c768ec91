"""Bytes of sessions that lie in the bucket already, as a cut leaves them out. Pure."""

from collections.abc import Iterable, Sequence

from audiobus.cut import Stored
from audiocodec.span import Span


def merged(ranges: Iterable[Stored]) -> tuple[Stored, ...]:
    """The same bytes in as few ranges as can be, in order: what two objects hold side by side is one range."""
    joined: list[Stored] = []
    for one in sorted(ranges, key=lambda stored: (stored.epoch, stored.first_offset, stored.end_offset)):
        last = joined[-1] if joined else None
        if last is not None and last.epoch == one.epoch and one.first_offset <= last.end_offset:
            joined[-1] = Stored(last.epoch, last.first_offset, max(last.end_offset, one.end_offset))
        else:
            joined.append(one)
    return tuple(joined)


def covers(ranges: Sequence[Stored], span: Span) -> bool:
    """Whether all bytes of the span are among them.

    A span that is stored in part is not covered: it is stored again as a whole, because acknowledged audio must not get
    lost; readers play a byte that they meet twice once.
    """
    return any(
        one.epoch == span.epoch and one.first_offset <= span.first_offset < span.end_offset <= one.end_offset
        for one in ranges
    )


def reach_into(ranges: Iterable[Stored], span: Span) -> bool:
    """Whether any byte of the span is among them."""
    return any(
        one.epoch == span.epoch and one.first_offset < span.end_offset and span.first_offset < one.end_offset
        for one in ranges
    )
