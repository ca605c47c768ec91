"""Which objects hold only what was recorded before a user deleted everything. Pure.

A recorded byte is told by session and offset, so what a conversation's newest byte was at that moment parts what came before from what came
after, whatever the clocks of devices said, and wherever it was merged into since. Where that is not known (older formats, conversations that
were quiet for long), times decide.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from audiobus import EntryId
from audiocodec.span import Span
from audiostore.batch import BatchFacts
from storage_api.stored_object import OlderFacts, StoredObject


@dataclass(frozen=True, slots=True)
class Boundary:
    """The moment, in all conversations of a user: one may have gone into another since."""

    before_ms: int
    """Unix ms."""
    newest: Mapping[str, EntryId]
    """By conversation, the last byte that was recorded by then; left out where nobody was recording, or it is not known."""


@dataclass(frozen=True, slots=True)
class Doomed:
    """An object to be deleted, by its name."""

    samples: dict[tuple[str, int, int, int], int]
    """Samples at 48 kHz of each stretch in it, by its identity: conversation, epoch, first offset, end offset."""
    older_samples: int
    """The same for older formats, which have none."""


@dataclass(frozen=True, slots=True)
class Parted:
    """What becomes of a listing."""

    doomed: dict[str, Doomed]
    spanning: frozenset[str]
    """Names of objects that hold audio from before and from after, or that cannot be read, so that nobody knows: they stay as they are."""


def part(objects: Iterable[StoredObject], boundary: Boundary) -> Parted:
    """Parts what was recorded before from what must stay. Of two objects of one name neither goes where one must stay."""
    by_name: dict[str, list[StoredObject]] = {}
    for stored in objects:
        by_name.setdefault(stored.info.name, []).append(stored)
    doomed: dict[str, Doomed] = {}
    spanning: set[str] = set()
    for name, rows in by_name.items():
        before = [_is_before(row, boundary) for row in rows]
        if all(one is True for one in before):
            doomed[name] = _doomed(rows)
        elif any(one is not False for one in before):
            spanning.add(name)
    return Parted(doomed, frozenset(spanning))


def _is_before(stored: StoredObject, boundary: Boundary) -> bool | None:
    """Whether all of it is from before, or none (False); None where it spans the moment."""
    facts = stored.verdict.facts
    if isinstance(facts, BatchFacts):
        each = {_span_is_before(span, boundary) for span in facts.spans}
        return each.pop() if len(each) == 1 else None
    if facts is None and stored.name.is_batch:
        # Only its content tells of which session it is: one that came later may bear marks of long before.
        return None if stored.name.start_ms < boundary.before_ms else False
    end_ms = max(-(-stored.end_48k // 48), stored.name.last_ms or 0)
    return _time_is_before(stored.name.start_ms, end_ms, boundary.before_ms)


def _span_is_before(span: Span, boundary: Boundary) -> bool | None:
    newest = boundary.newest.get(span.conversation)
    if newest is not None:
        if EntryId(span.epoch, span.end_offset) <= newest:
            return True
        return False if EntryId(span.epoch, span.first_offset) >= newest else None
    if span.epoch >= boundary.before_ms:
        return False  # a later session, wherever its marks put it
    return _time_is_before(span.start_48k // 48, -(-span.end_48k // 48), boundary.before_ms)


def _time_is_before(start_ms: int, end_ms: int, before_ms: int) -> bool | None:
    if end_ms <= before_ms:
        return True
    return False if start_ms >= before_ms else None


def _doomed(rows: list[StoredObject]) -> Doomed:
    samples: dict[tuple[str, int, int, int], int] = {}
    older = 0
    for row in rows:
        facts = row.verdict.facts
        if isinstance(facts, BatchFacts):
            for span in facts.spans:
                samples[span.conversation, span.epoch, span.first_offset, span.end_offset] = span.samples
        elif isinstance(facts, OlderFacts) and row.reason is None:
            older += facts.samples
    return Doomed(samples, older)
