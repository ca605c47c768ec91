"""A Redis server in this process: commands and scripts in, replies out, under a clock that is given.

For simulations: it never blocks, opens no socket, draws nothing by lot, and does what Redis 7 does with the commands that the services send
(`tests/simulation/test_redis_model.py` holds the two against each other). Owns the server's state beside the keys: which scripts it knows,
its memory limit, its log.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from redis import exceptions as redis_errors
from redis._parsers.base import BaseParser

# Imported for the commands that they enter into the table.
from tapedeck_testing.simulation import redis_groups as _groups  # noqa: F401
from tapedeck_testing.simulation import redis_keys as _keys  # noqa: F401
from tapedeck_testing.simulation import redis_sorted_sets as _sorted_sets  # noqa: F401
from tapedeck_testing.simulation import redis_streams as _streams  # noqa: F401
from tapedeck_testing.simulation import redis_strings as _strings  # noqa: F401
from tapedeck_testing.simulation.redis_command import COMMANDS, Command, arity_error, find, integer
from tapedeck_testing.simulation.redis_keyspace import Keyspace, Refused
from tapedeck_testing.simulation.redis_lua import NO_ARGUMENT, digest_of, engine
from tapedeck_testing.simulation.redis_server import SERVER_COMMANDS, ServerState

Argument: TypeAlias = bytes | str | int | float

FULL: Final = "OOM command not allowed when used memory > 'maxmemory'."
NO_SCRIPT: Final = "NOSCRIPT No matching script. Please use EVAL."


@dataclass(frozen=True, slots=True)
class Logged:
    """What one command or script changed, as plain commands: they are written to the log together."""

    at_ms: int
    changes: tuple[tuple[bytes, ...], ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All keys at one moment. It is never changed."""

    keys: Keyspace
    position: int
    """How many entries the log had then."""


class RedisModel:
    """One server."""

    def __init__(self, now_ms: Callable[[], int], *, name: str = "model") -> None:
        """An empty server.

        Args:
            now_ms: unix ms; time limits and `*` ids go by it.
            name: gives the server an identity (`master_replid`) of its own.
        """
        self.state = ServerState(name)
        self.keys = Keyspace()
        self.log: list[Logged] = []
        """What changed since `base`. Position p is the state after the first p entries that ever were."""
        self.refusal: str | None = None
        """Every write is refused with this text (`READONLY …`, `MISCONF …`), also within scripts."""
        self._base = Snapshot(Keyspace(), 0)
        self._now_ms = now_ms
        self._scripts: set[bytes] = set()
        self._changes: list[tuple[bytes, ...]] = []
        self._full = False
        """Whether memory was full when the command began."""
        self._wrote = False
        """Whether the script has called a command that writes: then memory is not asked for any more."""

    @property
    def maxmemory(self) -> int:
        """The memory limit in bytes; 0 for none."""
        return self.state.maxmemory

    @maxmemory.setter
    def maxmemory(self, limit: int) -> None:
        self.state.maxmemory = limit

    @property
    def position(self) -> int:
        """Where the log ends."""
        return self._base.position + len(self.log)

    def execute(self, args: Sequence[Argument]) -> Any:
        """One command: its reply as it comes off the wire (RESP2): bytes, int, None, or a list of such.

        Raises:
            redis_errors.ResponseError: the server refuses it; the very class and text of redis-py.
        """
        try:
            return self._execute([word if type(word) is bytes else _encode(word) for word in args])
        except Refused as refusal:
            raise _error(str(refusal)) from None

    # -- state, and ways back ----------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """All keys as they are now."""
        return Snapshot(self.keys.copy(), self.position)

    def restore(self, snapshot: Snapshot) -> None:
        """All keys as they were: a backup, a replica that lacks the newest writes. The log goes on from there."""
        self.keys = snapshot.keys.copy()
        self._base = Snapshot(snapshot.keys.copy(), snapshot.position)
        self.log = []

    def rewind(self, position: int) -> None:
        """All keys as they were when the log had that many entries: what came later is lost.

        Raises:
            ValueError: the log does not reach back so far, or has not come so far.
        """
        count = position - self._base.position
        if not 0 <= count <= len(self.log):
            raise ValueError(f"the log holds {self._base.position} to {self.position}, not {position}")
        kept = self.log[:count]
        self.keys = self._base.keys.copy()
        for entry in kept:
            self._replay(entry)
        self.log = kept

    def follow(self, entry: Logged) -> None:
        """Does what another server did: this one is its replica, or reads its log."""
        self._replay(entry)
        self.log.append(entry)

    def forget_log(self) -> None:
        """Nothing before this moment can be gone back to."""
        self._base = self.snapshot()
        self.log = []

    def restart(self) -> None:
        """Another process with the same keys: it knows no scripts, and calls its history by another name."""
        self._scripts.clear()
        self.state.restarts += 1

    # -- one command ---------------------------------------------------------------------------------------------------

    def _execute(self, words: list[bytes]) -> Any:
        keys = self.keys
        keys.now_ms = self._now_ms()
        state = self.state
        self._full = bool(state.maxmemory) and state.used_memory(keys) > state.maxmemory
        name = words[0].upper()
        if name in (b"EVALSHA", b"EVAL"):
            reply = self._script(name, words)
        elif name in SERVER_COMMANDS:
            reply = SERVER_COMMANDS[name](state, keys, words)
        elif name == b"SCRIPT":
            reply = self._script_command(words)
        else:
            known = find(name)
            if known is None:
                raise Refused(
                    f"ERR unknown command '{_text(words[0])}', with args beginning with: {_begin(words)}"
                )
            reply = self._run(known, words)
        if self._changes:
            self.log.append(Logged(keys.now_ms, tuple(self._changes)))
            self._changes.clear()
        return reply

    def _run(self, known: Command, words: list[bytes]) -> Any:
        if len(words) != known.arity and (known.arity > 0 or len(words) < -known.arity):
            raise arity_error(known.name)
        if not known.writes:
            return known.run(self.keys, words)
        if known.needs_memory and self._full:
            raise Refused(FULL)
        if self.refusal is not None:
            raise Refused(self.refusal)
        return self._write(known, words)

    def _write(self, known: Command, words: list[bytes]) -> Any:
        before = self.keys.dirty
        reply = known.run(self.keys, words)
        if self.keys.dirty != before:
            self._changes.append(tuple(words))
        return reply

    def _replay(self, entry: Logged) -> None:
        self.keys.now_ms = entry.at_ms
        for words in entry.changes:
            COMMANDS[words[0].upper()].run(self.keys, [*words])

    # -- scripts -------------------------------------------------------------------------------------------------------

    def _script(self, name: bytes, words: list[bytes]) -> Any:
        if len(words) < 3:
            raise arity_error(name.lower())
        count = integer(words[2])
        if count < 0:
            raise Refused("ERR Number of keys can't be negative")
        if count > len(words) - 3:
            raise Refused("ERR Number of keys can't be greater than number of args")
        if name == b"EVAL":
            digest = self._load(words[1])
        else:
            digest = words[1].lower()
            if digest not in self._scripts:
                raise Refused(NO_SCRIPT)
        self._wrote = False
        try:
            return engine().run(digest, count, words[3:], self._call)
        except Refused:
            # What it did before it failed stands.
            if self._changes:
                self.log.append(Logged(self.keys.now_ms, tuple(self._changes)))
                self._changes.clear()
            raise

    def _call(self, words: list[bytes]) -> Any:
        """One command of the script that runs."""
        if not words:
            raise Refused(NO_ARGUMENT)
        known = COMMANDS.get(words[0]) or find(words[0])
        if known is None:
            if words[0].upper() in SERVER_COMMANDS or words[0].upper() in (b"EVAL", b"EVALSHA", b"SCRIPT"):
                raise Refused("ERR This Redis command is not allowed from script")
            raise Refused("ERR Unknown Redis command called from script")
        arity = known.arity
        if len(words) != arity and (arity > 0 or len(words) < -arity):
            raise Refused("ERR Wrong number of args calling Redis command from script")
        if not known.writes:
            return known.run(self.keys, words)
        if self.refusal is not None:
            raise Refused(self.refusal)
        if known.needs_memory and self._full and not self._wrote:
            raise Refused(FULL)
        self._wrote = True
        return self._write(known, words)

    def _load(self, source: bytes) -> bytes:
        digest = digest_of(source)
        engine().compile(source, digest)
        self._scripts.add(digest)
        return digest

    def _script_command(self, words: list[bytes]) -> Any:
        match [words[1].upper() if len(words) > 1 else b"", *words[2:]]:
            case [b"LOAD", source]:
                return self._load(source)
            case [b"EXISTS", *digests] if digests:
                return [int(digest.lower() in self._scripts) for digest in digests]
            case [b"FLUSH", *_]:
                self._scripts.clear()
                return b"OK"
            case _:
                raise Refused("ERR unknown subcommand or wrong number of arguments for 'script'")


def _encode(word: Argument) -> bytes:
    """As redis-py puts an argument on the wire."""
    if isinstance(word, str):
        return word.encode()
    if isinstance(word, bytes):
        return word
    return repr(word).encode()


def _error(text: str) -> redis_errors.ResponseError:
    """The error that redis-py makes of the text; it takes the code off those that have a class of their own."""
    error: redis_errors.ResponseError = BaseParser.parse_error(text)
    return error


def _begin(words: list[bytes]) -> str:
    return "".join(f"'{_text(word)}' " for word in words[1:])


def _text(word: bytes) -> str:
    return word.decode("utf-8", "replace")
