"""What a key of the Redis model holds, beside `bytes` (a string), `dict` (a hash) and `set`: sorted sets, streams and their groups.

Owns the shapes and what keeps them in order. Knows no command, no time and no text of an error.
"""

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field
from typing import Final, TypeAlias

Hash: TypeAlias = dict[bytes, bytes]
Row: TypeAlias = tuple[bytes, list[bytes]]
"""A stream entry: its id as text, and fields and values in turn. Never changed once it is there."""

LARGEST_ID: Final = (1 << 128) - 1


class SortedSet:
    """Members in order of score, then of bytes."""

    __slots__ = ("order", "scores")

    def __init__(self) -> None:
        self.scores: dict[bytes, float] = {}
        self.order: list[tuple[float, bytes]] = []

    def copy(self) -> "SortedSet":
        """One of its own, with the same members."""
        twin = SortedSet()
        twin.scores = self.scores.copy()
        twin.order = self.order.copy()
        return twin

    def put(self, member: bytes, score: float) -> None:
        """Adds the member, or moves it."""
        known = self.scores.get(member)
        if known is not None:
            del self.order[bisect_left(self.order, (known, member))]
        self.scores[member] = score
        insort(self.order, (score, member))

    def remove(self, member: bytes) -> bool:
        """Whether it was there."""
        score = self.scores.pop(member, None)
        if score is None:
            return False
        del self.order[bisect_left(self.order, (score, member))]
        return True


@dataclass(slots=True)
class Pending:
    """An entry that was delivered and not acknowledged."""

    consumer: bytes
    delivered_ms: int
    times: int


@dataclass(slots=True)
class Consumer:
    """A member of a group."""

    seen_ms: int


@dataclass(slots=True)
class Group:
    """A consumer group of a stream."""

    delivered: int
    """The last id that was delivered."""
    pending: dict[int, Pending] = field(default_factory=dict)
    consumers: dict[bytes, Consumer] = field(default_factory=dict)

    def copy(self) -> "Group":
        """One of its own, in the same state."""
        return Group(
            self.delivered,
            {
                at: Pending(entry.consumer, entry.delivered_ms, entry.times)
                for at, entry in self.pending.items()
            },
            {name: Consumer(consumer.seen_ms) for name, consumer in self.consumers.items()},
        )


class Stream:
    """Entries by id. An id is one number: milliseconds, shifted by 64 bits, and the sequence."""

    __slots__ = ("added", "deleted", "groups", "ids", "last", "rows", "size")

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.rows: list[Row] = []
        self.last = 0
        """The largest id that ever was."""
        self.added = 0
        self.deleted = 0
        """The largest id that was deleted by itself; what a trim takes does not count."""
        self.size = 0
        """Bytes of all rows."""
        self.groups: dict[bytes, Group] = {}

    def copy(self) -> "Stream":
        """One of its own, in the same state; rows are shared, for they never change."""
        twin = Stream()
        twin.ids = self.ids.copy()
        twin.rows = self.rows.copy()
        twin.last, twin.added, twin.deleted, twin.size = self.last, self.added, self.deleted, self.size
        twin.groups = {name: group.copy() for name, group in self.groups.items()}
        return twin

    def append(self, at: int, fields: list[bytes]) -> bytes:
        """Adds an entry above all others; its id as text."""
        name = id_text(at)
        self.ids.append(at)
        self.rows.append((name, fields))
        self.last = at
        self.added += 1
        self.size += row_size(fields)
        return name

    def between(self, low: int, high: int, count: int | None = None) -> list[Row]:
        """The first `count` rows from `low` to `high`, both included, in order; the last `-count` of them from the end on."""
        start, stop = bisect_left(self.ids, low), bisect_right(self.ids, high)
        if count is None:
            return self.rows[start:stop]
        if count < 0:
            return self.rows[max(start, stop + count) : stop][::-1]
        return self.rows[start : min(stop, start + count)]

    def below(self, at: int) -> int:
        """How many entries are older than that id."""
        return bisect_left(self.ids, at)

    def find(self, at: int) -> Row | None:
        """The row with that id."""
        index = bisect_left(self.ids, at)
        return self.rows[index] if index < len(self.ids) and self.ids[index] == at else None

    def remove(self, at: int) -> bool:
        """Deletes one entry; whether it was there."""
        index = bisect_left(self.ids, at)
        if index == len(self.ids) or self.ids[index] != at:
            return False
        self.size -= row_size(self.rows[index][1])
        del self.ids[index], self.rows[index]
        self.deleted = max(self.deleted, at)
        return True

    def remove_first(self, count: int) -> None:
        """Deletes the `count` oldest entries."""
        if not count:
            return
        self.size -= sum(row_size(fields) for _, fields in self.rows[:count])
        del self.ids[:count], self.rows[:count]


Value: TypeAlias = bytes | Hash | set[bytes] | SortedSet | Stream


def copy_of(value: Value) -> Value:
    """A value of its own that is equal."""
    return value if isinstance(value, bytes) else value.copy()


def size_of(value: Value) -> int:
    """About how many bytes the value takes."""
    match value:
        case bytes():
            return len(value)
        case Stream():
            return value.size
        case SortedSet():
            return sum(len(member) + 40 for member in value.scores)
        case set():
            return sum(len(member) + 16 for member in value)
        case _:
            return sum(len(name) + len(text) + 16 for name, text in value.items())


def row_size(fields: list[bytes]) -> int:
    """About how many bytes an entry takes."""
    return sum(map(len, fields)) + 24


def id_text(at: int) -> bytes:
    """`milliseconds-sequence`."""
    return b"%d-%d" % (at >> 64, at & 0xFFFF_FFFF_FFFF_FFFF)
