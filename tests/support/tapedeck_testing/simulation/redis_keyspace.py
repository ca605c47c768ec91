"""The keys of the Redis model: what is there, until when, and what counts as a change.

Owns existence, types and time limits. Every command goes through it; none keeps a value longer than it runs.
"""

from typing import Final

from redis import exceptions as redis_errors
from redis._parsers.base import BaseParser

from tapedeck_testing.simulation.redis_values import (
    Hash,
    SortedSet,
    Stream,
    Value,
    copy_of,
    size_of,
)

WRONG_TYPE: Final = "WRONGTYPE Operation against a key holding the wrong kind of value"
FULL: Final = "OOM command not allowed when used memory > 'maxmemory'."
KEY_BYTES: Final = 96
"""What a key costs beside its name and its value."""


class Refused(Exception):  # noqa: N818 - an answer of the server, before it is an error of the client
    """A reply that is an error; its text as it stands on the wire, without the dash."""

    @property
    def error(self) -> redis_errors.ResponseError:
        """What redis-py makes of it: it takes the code off those that have a class of their own."""
        error: redis_errors.ResponseError = BaseParser.parse_error(str(self))
        return error


class Keyspace:
    """One database. `now_ms` stands still while a command or a script runs."""

    __slots__ = ("data", "dirty", "expires", "full", "now_ms")

    def __init__(self) -> None:
        self.data: dict[bytes, Value] = {}
        self.expires: dict[bytes, int] = {}
        """Key to the unix ms after which it is gone."""
        self.now_ms = 0
        self.full = False
        """Whether what needs memory is refused now."""
        self.dirty = 0
        """Changes so far: what a command adds nothing to is not written into the log."""

    def get(self, key: bytes) -> Value | None:
        """What the key holds now."""
        if self.expires and key in self.expires and self.now_ms > self.expires[key]:
            del self.data[key], self.expires[key]
            return None
        return self.data.get(key)

    def string(self, key: bytes) -> bytes | None:
        """The string there, if any.

        Raises:
            Refused: the key holds something else. So do the next four.
        """
        value = self.get(key)
        if value is None or isinstance(value, bytes):
            return value
        raise Refused(WRONG_TYPE)

    def hash(self, key: bytes) -> Hash | None:
        """The hash there, if any."""
        value = self.get(key)
        if value is None or isinstance(value, dict):
            return value
        raise Refused(WRONG_TYPE)

    def set(self, key: bytes) -> "set[bytes] | None":
        """The set there, if any."""
        value = self.get(key)
        if value is None or isinstance(value, set):
            return value
        raise Refused(WRONG_TYPE)

    def sorted_set(self, key: bytes) -> SortedSet | None:
        """The sorted set there, if any."""
        value = self.get(key)
        if value is None or isinstance(value, SortedSet):
            return value
        raise Refused(WRONG_TYPE)

    def stream(self, key: bytes) -> Stream | None:
        """The stream there, if any."""
        value = self.get(key)
        if value is None or isinstance(value, Stream):
            return value
        raise Refused(WRONG_TYPE)

    def delete(self, key: bytes) -> bool:
        """Whether there was something."""
        if self.get(key) is None:
            return False
        del self.data[key]
        self.expires.pop(key, None)
        self.dirty += 1
        return True

    def live_keys(self) -> list[bytes]:
        """Every key that is there now."""
        return [key for key in tuple(self.data) if self.get(key) is not None]

    def copy(self) -> "Keyspace":
        """One of its own, in the same state."""
        twin = Keyspace()
        twin.data = {key: copy_of(value) for key, value in self.data.items()}
        twin.expires = self.expires.copy()
        twin.now_ms, twin.dirty = self.now_ms, self.dirty
        return twin

    def size(self) -> int:
        """About how many bytes all of it takes."""
        return sum(len(key) + KEY_BYTES + size_of(value) for key, value in self.data.items())
