"""What is missing or deleted at the beginning or the end of a session, where no gap between two pieces shows it. Pure.

It compares what there is with what Redis knows: a session's bytes begin with 0 and end where its newest, or last, entry ended.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tapedeck.operators.whereabouts import ROUNDING_MS, Piece

NOWHERE: Final = "are nowhere: deleted, or lost by Redis or the bucket"
ENDLESS_MS: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Session:
    """A session that Redis knows."""

    epoch: int
    end_offset: int
    """Bytes of it that were received."""
    end_ms: int | None = None
    """Where its audio ends, unix ms; None where that is not known any more."""
    run_start_ms: int | None = None
    """Where its last run of audio begins, unix ms: before the session, where it came faster than it plays. None likewise."""


@dataclass(frozen=True, slots=True)
class Bytes:
    """Some bytes of a session, whose time is not known."""

    epoch: int
    first_offset: int
    end_offset: int


@dataclass(frozen=True, slots=True)
class _Claim:
    """Bytes of a session that are in no piece."""

    which: str
    epoch: int
    first_offset: int
    end_offset: int
    start_ms: int
    end_ms: int | None
    """None where it is not known how long they last."""
    until_ms: int
    """They lie before this."""

    def may_lie_in(self, other: Piece) -> bool:
        """Whether the piece, which does not say whose bytes it holds, may hold these."""
        ends_later = other.endless or other.end_ms > self.start_ms
        return other.start_ms < max(self.until_ms, self.start_ms + 1) and ends_later


def missing_ends(
    pieces: Sequence[Piece],
    sessions: Iterable[Session],
    deleted: Sequence[Piece],
    *,
    timeless: Sequence[Bytes] = (),
    before_ms: int = 0,
) -> list[Piece]:
    """What of the sessions lies before their first piece, after their last one, or nowhere at all.

    Args:
        pieces: all there are. Near one that does not say whose bytes it holds nothing is claimed.
        sessions: what Redis knows; it may know none.
        deleted: where objects lay that were deleted. What may have lain in one of them is not claimed.
        timeless: bytes that are there, and nothing tells when they were recorded.
        before_ms: the user deleted what was recorded before this.
    """
    known = {one.epoch: one for one in sessions}
    epochs = sorted({one.epoch for one in pieces if one.epoch is not None} | known.keys())
    hiding = [*(one for one in pieces if one.epoch is None and one.state == "stored"), *deleted]
    claims: list[_Claim] = []
    for epoch, next_ms in zip(epochs, [*epochs[1:], ENDLESS_MS], strict=False):
        mine = [one for one in pieces if one.epoch == epoch]
        claims += _head(epoch, mine)
        if epoch in known:
            claims += _tail(known[epoch], mine, next_ms)
    return [
        _told(one, before_ms)
        for one in claims
        if _is_nowhere(one, timeless) and not any(one.may_lie_in(other) for other in hiding)
    ]


def _head(epoch: int, mine: Sequence[Piece]) -> list[_Claim]:
    first = min(mine, key=lambda one: one.first_offset, default=None)
    if first is None or not first.first_offset:
        return []
    start_ms = min(epoch, first.start_ms)
    return [_Claim("the first", epoch, 0, first.first_offset, start_ms, first.start_ms, first.start_ms)]


def _tail(session: Session, mine: Sequence[Piece], next_ms: int) -> list[_Claim]:
    """`next_ms`: when the next session began."""
    last = max(mine, key=lambda one: one.end_offset, default=None)
    there = 0 if last is None else last.end_offset
    if last is not None:
        start_ms = last.end_ms
    elif session.run_start_ms is not None:
        start_ms = min(session.epoch, session.run_start_ms)
    else:
        start_ms = session.epoch
    if session.end_offset <= there:
        return []
    which = "the last" if there else "all"
    if session.end_ms is None:
        return [_Claim(which, session.epoch, there, session.end_offset, start_ms, None, next_ms)]
    if session.end_ms - start_ms <= ROUNDING_MS:
        return []  # a few last bytes, in which there was no audio
    return [_Claim(which, session.epoch, there, session.end_offset, start_ms, session.end_ms, session.end_ms)]


def _is_nowhere(claim: _Claim, timeless: Sequence[Bytes]) -> bool:
    there = sum(
        max(0, min(one.end_offset, claim.end_offset) - max(one.first_offset, claim.first_offset))
        for one in timeless
        if one.epoch == claim.epoch
    )
    return claim.end_offset - claim.first_offset > there


def _told(claim: _Claim, before_ms: int) -> Piece:
    count = claim.end_offset - claim.first_offset
    long = "; how long they last is not known" if claim.end_ms is None else ""
    deleted = claim.start_ms < before_ms
    why = "were deleted by the user" if deleted else NOWHERE
    return Piece(
        claim.start_ms,
        claim.start_ms if claim.end_ms is None else claim.end_ms,
        "deleted" if deleted else "missing",
        f"{claim.which} {count} bytes of the session {why}{long}",
        epoch=claim.epoch,
        first_offset=claim.first_offset,
        end_offset=claim.end_offset,
    )
