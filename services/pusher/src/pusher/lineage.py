"""Which packets the same encoder made before a place in the buffer: what a decoder must have heard to go on there. Pure.

An encoder's packets have one line, over gaps too: a device that pauses goes on with the encoder that it has. The line ends where an
encoder began (`starts`), where one was flushed, and where bytes are missing.
"""

from collections.abc import Sequence

from audiobus.state import PreRoll
from audiocodec.span import Span
from pusher.arrived import Arrived
from pusher.seam import last_packets


def goes_on(span: Span, before: PreRoll | Span | None) -> bool:
    """Whether the packets of `span` come from the encoder that made those of `before`, right after them."""
    match before:
        case PreRoll(epoch=epoch, next_offset=offset):
            flushed = False
        case Span(epoch=epoch, end_offset=offset):
            flushed = before.trim > 0
        case _:
            return False
    return not flushed and not span.starts and (span.epoch, span.first_offset) == (epoch, offset)


def heard(arrived: Sequence[Arrived], kept: PreRoll | None, samples: int) -> PreRoll | None:
    """The last packets of one encoder up to the end of these entries: at least `samples` at 48 kHz, or all that are known.

    `kept` is what the entries before these left. None where nothing can go on.
    """
    spans = [one.span for one in arrived if one.span is not None]
    if not spans:
        return kept
    last = later = spans[-1]
    pieces: list[tuple[bytes, ...]] = []
    have = 0
    for span in reversed(spans):
        if have >= samples or span.trim or (span is not last and not goes_on(later, span)):
            break
        pieces.append(span.packets)
        have += span.samples + span.lead
        later = span
    else:
        if kept is not None and goes_on(later, kept):
            pieces.append(kept.packets)
    packets = [packet for piece in reversed(pieces) for packet in piece]
    if not packets:
        return None
    return PreRoll(
        epoch=last.epoch,
        run_start_ms=last.run_start_ms,
        next_sample=last.first_sample + last.samples,
        next_offset=last.end_offset,
        packets=last_packets(packets, samples),
    )
