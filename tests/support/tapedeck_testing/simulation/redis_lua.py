"""Scripts in the Redis model: the same Lua (5.1) as in Redis, and the same rules for what goes in and what comes out.

Owns the runtime, the compiled scripts, and the conversion between replies and Lua. What a command does is the server's.
"""

import hashlib
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final, TypeAlias

from lupa import lua51

from tapedeck_testing.simulation.redis_command import INT64, Status
from tapedeck_testing.simulation.redis_keyspace import Refused

Call: TypeAlias = Callable[[list[bytes]], Any]
"""Runs one command of a script; raises `Refused`."""

BAD_ARGUMENT: Final = "ERR Lua redis lib command arguments must be strings or integers"
NO_ARGUMENT: Final = "ERR Please specify at least one argument for this redis lib call"
SHORT: Final = 200
"""A longer array goes to Lua as a table: results of a function have to fit on Lua's stack."""
_VALUE, _TABLE, _STATUS, _ERROR = 1, 2, 3, 4
_FAILED, _REFUSED, _OK, _NESTED = -1, -2, -3, -4


class ScriptEngine:
    """One Lua runtime for all servers of a process: nothing of a server stays in it."""

    def __init__(self) -> None:
        runtime = lua51.LuaRuntime(encoding=None, unpack_returned_tuples=True, register_eval=False)
        host = Path(__file__).with_name("redis_scripts.lua").read_bytes()
        self._table = runtime.table_from
        self._compile, self._run = runtime.execute(host, self._command, list, _more, Status, _error_of, _sha1)
        self._compiled: dict[bytes, Any] = {}
        self._call: Call = _nowhere

    def compile(self, source: bytes, digest: bytes) -> None:
        """Makes the script known to the engine.

        Raises:
            Refused: it is no Lua.
        """
        if digest in self._compiled:
            return
        answer = self._compile(source)
        if isinstance(answer, bytes):
            raise Refused(f"ERR Error compiling script (new function): {_text(answer)}")
        self._compiled[digest] = answer

    def run(self, digest: bytes, keys: int, words: Sequence[bytes], call: Call) -> Any:
        """The reply of a compiled script.

        Args:
            digest: of its source.
            keys: how many of `words` are its keys.
            words: keys, then arguments.
            call: runs its commands.

        Raises:
            Refused: it failed, or answered an error.
        """
        self._call = call
        kind, *values = self._run(self._compiled[digest], keys, *words)
        if kind > 0:
            # Most answers are text and nothing else.
            for value in values:
                if type(value) is not bytes:
                    return [_reply(one) for one in values]
            return values
        if kind in (0, _NESTED):
            return _reply(values[0])
        if kind == _OK:
            return Status(values[0])
        if kind == _REFUSED:
            raise Refused(_text(values[0]))
        line = values[1] if len(values) > 1 and values[1] is not None else 0
        raise Refused(f"{_text(values[0])} script: {digest.decode()}, on @user_script:{line}.")

    def _command(self, *words: Any) -> tuple[Any, ...]:
        try:
            reply = self._call([word if type(word) is bytes else _word(word) for word in words])
        except Refused as refusal:
            return (_ERROR, str(refusal).encode())
        if type(reply) is bytes or type(reply) is int:
            return (_VALUE, reply)
        if type(reply) is list:
            if len(reply) <= SHORT:
                return (_TABLE, *[one if type(one) is bytes else self._for_lua(one) for one in reply])
            return (_VALUE, self._for_lua(reply))
        if reply is None:
            return (_VALUE, False)
        return (_STATUS, bytes(reply))

    def _for_lua(self, reply: Any) -> Any:
        if reply is None:
            return False
        if isinstance(reply, list):
            return self._table([self._for_lua(one) for one in reply])
        if isinstance(reply, Status):
            return self._table({b"ok": bytes(reply)})
        return reply


@cache
def engine() -> ScriptEngine:
    """The engine of this process."""
    return ScriptEngine()


@lru_cache(maxsize=256)
def digest_of(source: bytes) -> bytes:
    """What a script is known by."""
    return _sha1(source)


def _sha1(text: bytes) -> bytes:
    return hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()


def _more(items: list[Any], *more: Any) -> None:
    items.extend(more)


def _error_of(text: bytes) -> Exception:
    return Refused(_text(text)).error


def _nowhere(_words: list[bytes]) -> Any:
    raise Refused("ERR no script is running")


def _word(word: Any) -> bytes:
    """A number as Redis 7 writes it for a command: 17 digits at most."""
    if isinstance(word, bool) or not isinstance(word, int | float):
        raise Refused(BAD_ARGUMENT)
    return b"%.17g" % word


def _reply(value: Any) -> Any:
    """What a value of Lua is in a reply."""
    if value is None or value is False:
        return None
    if value is True:
        return 1
    if isinstance(value, float):
        return _truncated(value)
    if isinstance(value, list):
        return [_reply(one) for one in value]
    return value


def _truncated(value: float) -> int:
    if value != value or not -INT64 <= value < INT64:  # noqa: PLR0124 - NaN is the one that differs from itself
        return -INT64
    return int(value)


def _text(words: bytes) -> str:
    return words.decode("utf-8", "replace")
