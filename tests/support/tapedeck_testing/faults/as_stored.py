"""What a part of an Opus tape looks like once it is stored, if all went right."""

from audiocodec.span import Span
from tapedeck_testing.faults.tape import Tape
from tapedeck_testing.faults.verdict import LEAD

PACKET_48K = 2_880
"""Samples of each packet of the tape."""


def as_stored(tape: Tape, first: int, after: int, *, epoch: int, conversation: str = "c3") -> Span:
    """The packets from `first` to before `after`, which no hole may part, in the session of that epoch."""
    start = max(start for start, _ in tape.runs() if start <= first)
    lead = LEAD if first == start else 0
    return Span(
        conversation=conversation,
        epoch=epoch,
        first_offset=tape.begin(first),
        end_offset=tape.begin(after),
        run_start_ms=tape.captured_ms(start),
        first_sample=0 if lead else (first - start) * PACKET_48K - LEAD,
        samples=(after - first) * PACKET_48K - lead,
        lead=lead,
        trim=0,
        starts=first == 0,
        packets=tuple(tape.message(index) for index in range(first, after)),
    )
