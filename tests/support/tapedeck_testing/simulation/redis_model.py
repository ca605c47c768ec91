"""A Redis server in this process: commands and scripts in, replies out, under a clock that is given.

For simulations: it never blocks, opens no socket, draws nothing by lot, and does what Redis 7 does with the commands that the services send
(`tests/simulation/test_redis_model.py` holds the two against each other). Owns the server's state beside the keys: which scripts it knows,
its memory limit, its log.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

# Imported for the commands that they enter into the table.
from tapedeck_testing.simulation import redis_group_reads as _group_reads  # noqa: F401
from tapedeck_testing.simulation import redis_groups as _groups  # noqa: F401
from tapedeck_testing.simulation import redis_keys as _keys  # noqa: F401
from tapedeck_testing.simulation import redis_sets as _sets  # noqa: F401
from tapedeck_testing.simulation import redis_sorted_sets as _sorted_sets  # noqa: F401
from tapedeck_testing.simulation import redis_stream_info as _stream_info  # noqa: F401
from tapedeck_testing.simulation import redis_streams as _streams  # noqa: F401
from tapedeck_testing.simulation import redis_strings as _strings  # noqa: F401
from tapedeck_testing.simulation.redis_command import (
    COMMANDS,
    Command,
    WrongWords,
    arity_error,
    find,
    integer,
    text,
)
from tapedeck_testing.simulation.redis_keyspace import FULL, Keyspace, Refused
from tapedeck_testing.simulation.redis_log import Log, Logged, Snapshot
from tapedeck_testing.simulation.redis_lua import NO_ARGUMENT, digest_of, engine
from tapedeck_testing.simulation.redis_server import SERVER_COMMANDS, ServerState

Argument: TypeAlias = bytes | str | int | float

NO_SCRIPT: Final = "NOSCRIPT No matching script. Please use EVAL."


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
        self.log = Log()
        self.refusal: str | None = None
        """Every write is refused with this text (`READONLY …`, `MISCONF …`), also within scripts."""
        self._now_ms = now_ms
        self._scripts: set[bytes] = set()

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
        return self.log.position

    def execute(self, args: Sequence[Argument]) -> Any:
        """One command: its reply as it comes off the wire (RESP2): bytes, int, None, or a list of such.

        Raises:
            redis.exceptions.ResponseError: the server refuses it; the very class and text of redis-py.
        """
        try:
            return self._execute(
                [
                    word if type(word) is bytes else word.encode() if type(word) is str else _encode(word)
                    for word in args
                ]
            )
        except Refused as refusal:
            raise refusal.error from None

    # -- state, and ways back ----------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """All keys as they are now."""
        return Snapshot(self.keys.copy(), self.position)

    def restore(self, snapshot: Snapshot) -> None:
        """All keys as they were: a backup, a replica that lacks the newest writes. The log goes on from there."""
        self.keys = self.log.begin_at(snapshot)

    def rewind(self, position: int) -> None:
        """All keys as they were when the log had that many entries: what came later is lost.

        Raises:
            ValueError: the log does not reach back so far, or has not come so far.
        """
        self.keys = self.log.rewind(position)

    def follow(self, entry: Logged) -> None:
        """Does what another server did: this one is its replica, or reads its log."""
        entry.replay(self.keys)
        self.log.entries.append(entry)

    def forget_log(self) -> None:
        """Nothing before this moment can be gone back to."""
        self.log.begin_at(self.snapshot())

    def restart(self) -> None:
        """Another process with the same keys: it knows no scripts, and calls its history by another name."""
        self._scripts.clear()
        self.state.restarts += 1

    # -- one command ---------------------------------------------------------------------------------------------------

    def _execute(self, words: list[bytes]) -> Any:
        keys = self.keys
        keys.now_ms = self._now_ms()
        state = self.state
        keys.full = state.maxmemory > 0 and state.full(keys)
        name = words[0]
        known = COMMANDS.get(name) or find(name)
        if known is not None:
            reply = self._run(known, words)
        elif (name := name.upper()) in (b"EVALSHA", b"EVAL"):
            reply = self._script(name, words)
        elif name in SERVER_COMMANDS:
            reply = SERVER_COMMANDS[name](state, keys, words)
        elif name == b"SCRIPT":
            reply = self._script_command(words)
        else:
            raise Refused(
                f"ERR unknown command '{text(words[0])}', with args beginning with: {_begin(words)}"
            )
        if self.log.changes:
            self.log.close_entry(keys.now_ms)
        return reply

    def _run(self, known: Command, words: list[bytes]) -> Any:
        if len(words) != known.arity and (known.arity > 0 or len(words) < -known.arity):
            raise arity_error(known.name)
        if not known.writes:
            return known.run(self.keys, words)
        if self.keys.full and known.takes_memory(words):
            raise Refused(FULL)
        if self.refusal is not None:
            raise Refused(self.refusal)
        return self._write(known, words)

    def _write(self, known: Command, words: list[bytes]) -> Any:
        before = self.keys.dirty
        reply = known.run(self.keys, words)
        if self.keys.dirty != before:
            self.log.changes.append(words)
        return reply

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
        try:
            return engine().run(digest, count, words[3:], self._call)
        except Refused:
            # What it did before it failed stands.
            self.log.close_entry(self.keys.now_ms)
            raise

    def _call(self, words: list[bytes]) -> Any:
        """One command of the script that runs."""
        if not words:
            raise Refused(NO_ARGUMENT)
        known = COMMANDS.get(words[0]) or find(words[0])
        if known is None:
            if words[0].upper() in (b"TIME", b"INFO"):
                return SERVER_COMMANDS[words[0].upper()](self.state, self.keys, words)
            if words[0].upper() in SERVER_COMMANDS or words[0].upper() in (b"EVAL", b"EVALSHA", b"SCRIPT"):
                raise Refused("ERR This Redis command is not allowed from script")
            raise Refused("ERR Unknown Redis command called from script")
        arity = known.arity
        if len(words) != arity and (arity > 0 or len(words) < -arity):
            raise Refused("ERR Wrong number of args calling Redis command from script")
        try:
            if not known.writes:
                return known.run(self.keys, words)
            if self.refusal is not None:
                raise Refused(self.refusal)
            if self.keys.full and known.takes_memory(words):
                raise Refused(FULL)
            # Memory is not asked for any more once a script has called what writes.
            self.keys.full = False
            return self._write(known, words)
        except WrongWords as refusal:
            raise Refused(refusal.in_scripts) from None

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


def _begin(words: list[bytes]) -> str:
    return "".join(f"'{text(word)}' " for word in words[1:])
