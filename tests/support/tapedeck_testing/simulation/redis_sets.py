"""Commands of the Redis model on sets."""

from tapedeck_testing.simulation.redis_command import Words, command
from tapedeck_testing.simulation.redis_keyspace import Keyspace


@command("SADD", -3, writes=True, needs_memory=True)
def sadd(keys: Keyspace, words: Words) -> int:
    """How many members are new."""
    found = keys.set(words[1])
    if found is None:
        found = keys.data[words[1]] = set()
    before = len(found)
    found.update(words[2:])
    keys.dirty += len(found) - before
    return len(found) - before


@command("SREM", -3, writes=True)
def srem(keys: Keyspace, words: Words) -> int:
    """How many members were there."""
    found = keys.set(words[1])
    if found is None:
        return 0
    before = len(found)
    found.difference_update(words[2:])
    keys.dirty += before - len(found)
    if not found:
        del keys.data[words[1]]
        keys.expires.pop(words[1], None)
    return before - len(found)


@command("SCARD", 2)
def scard(keys: Keyspace, words: Words) -> int:
    """How many members."""
    return len(keys.set(words[1]) or ())


@command("SISMEMBER", 3)
def sismember(keys: Keyspace, words: Words) -> int:
    """1 if it is one."""
    return int(words[2] in (keys.set(words[1]) or ()))


@command("SMEMBERS", 2)
def smembers(keys: Keyspace, words: Words) -> list[bytes]:
    """All members."""
    return sorted(keys.set(words[1]) or ())
