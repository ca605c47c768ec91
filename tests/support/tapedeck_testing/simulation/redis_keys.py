"""Commands of the Redis model on keys of any type: existence, time limits, types, scanning."""

import re
import zlib
from functools import lru_cache
from typing import Any

from tapedeck_testing.simulation.redis_command import (
    INT64,
    NOT_AN_INTEGER,
    OK,
    SYNTAX,
    Status,
    Words,
    command,
    integer,
    text,
)
from tapedeck_testing.simulation.redis_keyspace import Keyspace, Refused
from tapedeck_testing.simulation.redis_values import SortedSet, Stream, Value


@command("DEL", -2, writes=True)
@command("UNLINK", -2, writes=True)
def delete(keys: Keyspace, words: Words) -> int:
    """How many were there."""
    return sum(keys.delete(key) for key in words[1:])


@command("EXISTS", -2)
def exists(keys: Keyspace, words: Words) -> int:
    """How many are there; one named twice counts twice."""
    return sum(keys.get(key) is not None for key in words[1:])


@command("TYPE", 2)
def kind(keys: Keyspace, words: Words) -> Status:
    """What the key holds."""
    return Status(_kind(keys.get(words[1])))


@command("PERSIST", 2, writes=True)
def persist(keys: Keyspace, words: Words) -> int:
    """1 if a time limit was lifted."""
    if keys.get(words[1]) is None or keys.expires.pop(words[1], None) is None:
        return 0
    keys.dirty += 1
    return 1


@command("PTTL", 2)
def pttl(keys: Keyspace, words: Words) -> int:
    """Milliseconds left; -1 without a limit, -2 without the key."""
    if keys.get(words[1]) is None:
        return -2
    at = keys.expires.get(words[1])
    return -1 if at is None else max(0, at - keys.now_ms)


@command("TTL", 2)
def ttl(keys: Keyspace, words: Words) -> int:
    """Seconds left, rounded."""
    left = pttl(keys, words)
    return left if left < 0 else (left + 500) // 1000


def _expire(keys: Keyspace, words: Words, unit: int, base: int) -> int:
    options = {word.upper() for word in words[3:]}
    for option in words[3:]:
        if option.upper() not in (b"NX", b"XX", b"GT", b"LT"):
            raise Refused(f"ERR Unsupported option {text(option)}")
    if b"NX" in options and len(options) > 1:
        raise Refused("ERR NX and XX, GT or LT options at the same time are not compatible")
    if b"GT" in options and b"LT" in options:
        raise Refused("ERR GT and LT options at the same time are not compatible")
    when = integer(words[2])
    if abs(when * unit) >= INT64 or abs(when * unit + base) >= INT64:
        raise Refused(f"ERR invalid expire time in '{text(words[0]).lower()}' command")
    at = when * unit + base
    if keys.get(words[1]) is None or not _moves(keys.expires.get(words[1]), at, options):
        return 0
    if at <= keys.now_ms:
        keys.delete(words[1])
        return 1
    keys.expires[words[1]] = at
    keys.dirty += 1
    return 1


def _moves(known: int | None, at: int, options: set[bytes]) -> bool:
    if (b"NX" in options and known is not None) or (b"XX" in options and known is None):
        return False
    if b"GT" in options and (known is None or at <= known):
        return False
    return not (b"LT" in options and known is not None and at >= known)


@command("EXPIRE", -3, writes=True)
def expire(keys: Keyspace, words: Words) -> int:
    """1 if the limit, in seconds from now, was set."""
    return _expire(keys, words, 1000, keys.now_ms)


@command("PEXPIRE", -3, writes=True)
def pexpire(keys: Keyspace, words: Words) -> int:
    """The same, in milliseconds."""
    return _expire(keys, words, 1, keys.now_ms)


@command("EXPIREAT", -3, writes=True)
def expireat(keys: Keyspace, words: Words) -> int:
    """The same, as a unix time."""
    return _expire(keys, words, 1000, 0)


@command("PEXPIREAT", -3, writes=True)
def pexpireat(keys: Keyspace, words: Words) -> int:
    """The same, as a unix time in milliseconds."""
    return _expire(keys, words, 1, 0)


@command("KEYS", 2)
def all_keys(keys: Keyspace, words: Words) -> list[bytes]:
    """Every key that matches."""
    matches = pattern(words[1]).fullmatch
    return [key for key in keys.live_keys() if matches(key)]


@command("DBSIZE", 1)
def dbsize(keys: Keyspace, words: Words) -> int:
    """How many keys there are, those that are past their time included until somebody looks."""
    return len(keys.data)


@command("FLUSHALL", -1, writes=True)
@command("FLUSHDB", -1, writes=True)
def flush(keys: Keyspace, words: Words) -> Status:
    """Deletes everything."""
    keys.data.clear()
    keys.expires.clear()
    keys.dirty += 1
    return OK


@command("SCAN", -2)
def scan(keys: Keyspace, words: Words) -> list[Any]:
    """A page of the keys. What is there all the time is returned at least once, as Redis promises, and no more than that."""
    cursor(words[1])
    options = scan_options(words[2:], types=True)
    following, found = page(keys.live_keys(), words[1], int(options[b"COUNT"]))
    wanted = options.get(b"TYPE")
    matches = pattern(options.get(b"MATCH", b"*")).fullmatch
    return [
        following,
        [key for key in found if matches(key) and (wanted is None or _kind(keys.get(key)) == wanted.lower())],
    ]


def scan_options(words: Words, *, types: bool) -> dict[bytes, bytes]:
    """MATCH, COUNT (10 where not given) and TYPE.

    Raises:
        Refused: none of them, or COUNT is no number above zero.
    """
    options = {b"COUNT": b"10"}
    for index in range(0, len(words), 2):
        name = words[index].upper()
        if index + 1 == len(words) or name not in (b"MATCH", b"COUNT", b"TYPE")[: 3 if types else 2]:
            raise Refused(SYNTAX)
        if name == b"COUNT" and integer(words[index + 1], NOT_AN_INTEGER) < 1:
            raise Refused(SYNTAX)
        options[name] = words[index + 1]
    return options


def cursor(word: bytes) -> int:
    """Where a scan goes on.

    Raises:
        Refused: no number.
    """
    if not word.isdigit():
        raise Refused("ERR invalid cursor")
    return int(word)


def page(names: list[bytes], after: bytes, count: int) -> tuple[bytes, list[bytes]]:
    """The next names in the order of their checksums, which no other name changes, and the cursor after them."""
    start = cursor(after)
    rest = sorted((place, name) for name in names if (place := zlib.crc32(name)) >= start)
    end = min(count, len(rest))
    while end < len(rest) and rest[end][0] == rest[end - 1][0]:
        end += 1
    found = [name for _, name in rest[:end]]
    return (b"%d" % rest[end][0] if end < len(rest) else b"0", found)


@lru_cache(maxsize=256)
def pattern(glob: bytes) -> "re.Pattern[bytes]":
    """Redis' glob as an expression: `*`, `?`, `[…]` with `^` and ranges, and a backslash before what stands for itself."""
    out, index = b"", 0
    while index < len(glob):
        char = glob[index : index + 1]
        close = glob.find(b"]", index + 1) if char == b"[" else -1
        if char == b"*":
            out += b".*"
        elif char == b"?":
            out += b"."
        elif close > 0:
            inside = glob[index + 1 : close]
            head = b"^" if inside.startswith(b"^") else b""
            body = re.escape(inside[len(head) :]).replace(b"\\-", b"-")
            out += b"[" + head + body + b"]"
            index = close
        else:
            if char == b"\\" and index + 1 < len(glob):
                index += 1
                char = glob[index : index + 1]
            out += re.escape(char)
        index += 1
    return re.compile(out, re.DOTALL)


def _kind(value: Value | None) -> bytes:
    match value:
        case None:
            return b"none"
        case bytes():
            return b"string"
        case Stream():
            return b"stream"
        case SortedSet():
            return b"zset"
        case set():
            return b"set"
        case _:
            return b"hash"
