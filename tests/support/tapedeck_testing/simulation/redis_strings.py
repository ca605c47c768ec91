"""Commands of the Redis model on strings and hashes."""

from typing import Final

from tapedeck_testing.simulation.redis_command import (
    INT64,
    OK,
    SYNTAX,
    Status,
    Words,
    arity_error,
    command,
    integer,
)
from tapedeck_testing.simulation.redis_keys import cursor, page, pattern, scan_options
from tapedeck_testing.simulation.redis_keyspace import Keyspace, Refused

OVERFLOW: Final = "ERR increment or decrement would overflow"
_UNITS: Final = {b"EX": (1000, True), b"PX": (1, True), b"EXAT": (1000, False), b"PXAT": (1, False)}


@command("GET", 2)
def get(keys: Keyspace, words: Words) -> bytes | None:
    """The string."""
    return keys.string(words[1])


@command("MGET", -2)
def mget(keys: Keyspace, words: Words) -> list[bytes | None]:
    """The strings; nothing for what is none."""
    values = [keys.get(key) for key in words[1:]]
    return [value if isinstance(value, bytes) else None for value in values]


@command("STRLEN", 2)
def strlen(keys: Keyspace, words: Words) -> int:
    """Its length."""
    return len(keys.string(words[1]) or b"")


@command("GETDEL", 2, writes=True)
def getdel(keys: Keyspace, words: Words) -> bytes | None:
    """The string, for the last time."""
    value = keys.string(words[1])
    if value is not None:
        keys.delete(words[1])
    return value


@command("SET", -3, writes=True, needs_memory=True)
def set_(keys: Keyspace, words: Words) -> Status | bytes | None:
    """Sets a string, with NX, XX, GET, KEEPTTL and a time limit."""
    flags: set[bytes] = set()
    limit: tuple[bytes, bytes] | None = None
    index = 3
    while index < len(words):
        option = words[index].upper()
        if option in (b"NX", b"XX", b"GET", b"KEEPTTL"):
            flags.add(option)
        elif option in _UNITS and limit is None and index + 1 < len(words):
            index += 1
            limit = (option, words[index])
        else:
            raise Refused(SYNTAX)
        index += 1
    if {b"NX", b"XX"} <= flags or (limit and b"KEEPTTL" in flags):
        raise Refused(SYNTAX)
    at = _limit(keys, limit) if limit else None
    former = keys.string(words[1]) if b"GET" in flags else None
    there = keys.get(words[1]) is not None
    if (b"NX" in flags and there) or (b"XX" in flags and not there):
        return former
    keys.data[words[1]] = words[2]
    keys.dirty += 1
    if b"KEEPTTL" not in flags:
        keys.expires.pop(words[1], None)
    if at is not None:
        keys.expires[words[1]] = at
    return former if b"GET" in flags else OK


def _limit(keys: Keyspace, limit: tuple[bytes, bytes]) -> int:
    unit, relative = _UNITS[limit[0]]
    amount = integer(limit[1])
    if amount <= 0 or amount * unit + keys.now_ms >= INT64:
        raise Refused("ERR invalid expire time in 'set' command")
    return amount * unit + (keys.now_ms if relative else 0)


@command("INCR", 2, writes=True, needs_memory=True)
def incr(keys: Keyspace, words: Words) -> int:
    """One more."""
    return _add(keys, words[1], 1)


@command("INCRBY", 3, writes=True, needs_memory=True)
def incrby(keys: Keyspace, words: Words) -> int:
    """So many more."""
    return _add(keys, words[1], integer(words[2]))


@command("DECRBY", 3, writes=True, needs_memory=True)
def decrby(keys: Keyspace, words: Words) -> int:
    """So many less."""
    return _add(keys, words[1], -integer(words[2]))


def _add(keys: Keyspace, key: bytes, amount: int) -> int:
    known = keys.string(key)
    total = (0 if known is None else integer(known)) + amount
    if not -INT64 <= total < INT64:
        raise Refused(OVERFLOW)
    keys.data[key] = b"%d" % total
    keys.dirty += 1
    return total


@command("HGET", 3)
def hget(keys: Keyspace, words: Words) -> bytes | None:
    """One field."""
    fields = keys.hash(words[1])
    return fields.get(words[2]) if fields else None


@command("HMGET", -3)
def hmget(keys: Keyspace, words: Words) -> list[bytes | None]:
    """Some fields."""
    fields = keys.hash(words[1])
    if fields is None:
        return [None] * (len(words) - 2)
    return [*map(fields.get, words[2:])]


@command("HGETALL", 2)
def hgetall(keys: Keyspace, words: Words) -> list[bytes]:
    """Fields and values in turn."""
    return [word for pair in (keys.hash(words[1]) or {}).items() for word in pair]


@command("HKEYS", 2)
def hkeys(keys: Keyspace, words: Words) -> list[bytes]:
    """The names of the fields."""
    return [*(keys.hash(words[1]) or ())]


@command("HVALS", 2)
def hvals(keys: Keyspace, words: Words) -> list[bytes]:
    """The values."""
    return [*(keys.hash(words[1]) or {}).values()]


@command("HLEN", 2)
def hlen(keys: Keyspace, words: Words) -> int:
    """How many fields."""
    return len(keys.hash(words[1]) or ())


@command("HEXISTS", 3)
def hexists(keys: Keyspace, words: Words) -> int:
    """1 if the field is there."""
    return int(words[2] in (keys.hash(words[1]) or ()))


@command("HSET", -4, writes=True, needs_memory=True)
def hset(keys: Keyspace, words: Words) -> int:
    """How many fields are new."""
    if len(words) % 2:
        raise arity_error(words[0].lower())
    fields = keys.hash(words[1])
    if fields is None:
        fields = keys.data[words[1]] = {}
    before = len(fields)
    fields.update(zip(words[2::2], words[3::2], strict=True))
    keys.dirty += 1
    return len(fields) - before


@command("HMSET", -4, writes=True, needs_memory=True)
def hmset(keys: Keyspace, words: Words) -> Status:
    """The same, with an answer that says nothing."""
    hset(keys, words)
    return OK


@command("HSETNX", 4, writes=True, needs_memory=True)
def hsetnx(keys: Keyspace, words: Words) -> int:
    """1 if the field was not there, and now is."""
    return 0 if words[2] in (keys.hash(words[1]) or ()) else hset(keys, words)


@command("HDEL", -3, writes=True)
def hdel(keys: Keyspace, words: Words) -> int:
    """How many fields were there."""
    fields = keys.hash(words[1])
    if fields is None:
        return 0
    before = len(fields)
    for name in words[2:]:
        fields.pop(name, None)
    gone = before - len(fields)
    keys.dirty += gone
    if not fields:
        del keys.data[words[1]]
        keys.expires.pop(words[1], None)
    return gone


@command("HINCRBY", 4, writes=True, needs_memory=True)
def hincrby(keys: Keyspace, words: Words) -> int:
    """The field's number after adding to it."""
    amount = integer(words[3])
    fields = keys.hash(words[1])
    known = fields.get(words[2], b"0") if fields else b"0"
    total = integer(known, "ERR hash value is not an integer") + amount
    if not -INT64 <= total < INT64:
        raise Refused(OVERFLOW)
    if fields is None:
        fields = keys.data[words[1]] = {}
    fields[words[2]] = b"%d" % total
    keys.dirty += 1
    return total


@command("HSCAN", -3)
def hscan(keys: Keyspace, words: Words) -> list[object]:
    """A page of the fields with their values."""
    cursor(words[2])
    fields = keys.hash(words[1])
    if fields is None:
        return [b"0", []]
    options = scan_options(words[3:], types=False)
    following, names = page([*fields], words[2], int(options[b"COUNT"]))
    matches = pattern(options.get(b"MATCH", b"*")).fullmatch
    return [following, [word for name in names if matches(name) for word in (name, fields[name])]]
