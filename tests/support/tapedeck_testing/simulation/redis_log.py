"""The Redis model's log: what changed, in order, and the way back to any place in it.

Owns the entries since `base`. An entry holds plain commands: scripts are written down as what they did, as in a real AOF.
"""

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from tapedeck_testing.simulation.redis_command import COMMANDS
from tapedeck_testing.simulation.redis_keyspace import Keyspace

Change: TypeAlias = list[bytes]
"""A command's words. They are never changed."""


class Logged(NamedTuple):
    """What one command or script changed: it is written together."""

    at_ms: int
    changes: tuple[Change, ...]

    def replay(self, keys: Keyspace) -> None:
        """Does it again."""
        keys.now_ms = self.at_ms
        for words in self.changes:
            COMMANDS[words[0].upper()].run(keys, words)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All keys at one moment. It is never changed."""

    keys: Keyspace
    position: int
    """Where the log ended then."""


class Log:
    """Position p is the state after the first p entries that ever were."""

    __slots__ = ("base", "changes", "entries")

    def __init__(self) -> None:
        self.base = Snapshot(Keyspace(), 0)
        self.entries: list[Logged] = []
        """Since `base`."""
        self.changes: list[Change] = []
        """Of the command or script that runs."""

    @property
    def position(self) -> int:
        """Where it ends."""
        return self.base.position + len(self.entries)

    def close_entry(self, at_ms: int) -> None:
        """The command or script is over: what it changed is an entry."""
        if self.changes:
            self.entries.append(Logged(at_ms, tuple(self.changes)))
            self.changes.clear()

    def begin_at(self, snapshot: Snapshot) -> Keyspace:
        """Goes on from there; the keys as they were."""
        self.base = snapshot
        self.entries = []
        return snapshot.keys.copy()

    def rewind(self, position: int) -> Keyspace:
        """Forgets what came after that position; the keys as they were.

        Raises:
            ValueError: it does not reach back so far, or has not come so far.
        """
        count = position - self.base.position
        if not 0 <= count <= len(self.entries):
            raise ValueError(f"the log holds {self.base.position} to {self.position}, not {position}")
        del self.entries[count:]
        keys = self.base.keys.copy()
        for entry in self.entries:
            entry.replay(keys)
        return keys
