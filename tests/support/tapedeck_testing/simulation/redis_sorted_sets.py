"""Commands of the Redis model on sorted sets."""

from typing import Final

from tapedeck_testing.simulation.redis_command import (
    SYNTAX,
    Words,
    command,
    double,
    integer,
    number,
)
from tapedeck_testing.simulation.redis_keyspace import Keyspace, Refused
from tapedeck_testing.simulation.redis_values import SortedSet

NOT_A_FLOAT: Final = "ERR value is not a valid float"
BAD_BOUND: Final = "ERR min or max is not a float"
BAD_LIMIT: Final = "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
Pairs = list[tuple[float, bytes]]


@command("ZADD", -4, writes=True, needs_memory=True)
def zadd(keys: Keyspace, words: Words) -> int | bytes | None:
    """How many members are new (with CH: new or moved; with INCR: the score)."""
    flags, index = _options(words)
    pairs = [(number(words[at], NOT_A_FLOAT), words[at + 1]) for at in range(index, len(words), 2)]
    found = keys.sorted_set(words[1])
    if found is None:
        if b"XX" in flags:
            return None if b"INCR" in flags else 0
        found = keys.data[words[1]] = SortedSet()
    if b"INCR" in flags:
        return _increase(keys, found, flags, *pairs[0])
    added = moved = 0
    for score, member in pairs:
        known = found.scores.get(member)
        if not _allowed(flags, known, score):
            continue
        if known is None:
            added += 1
        elif known != score:
            moved += 1
        else:
            continue
        found.put(member, score)
    keys.dirty += added + moved
    return added + (moved if b"CH" in flags else 0)


def _options(words: Words) -> tuple[set[bytes], int]:
    """ZADD's flags, and where its first score is."""
    flags: set[bytes] = set()
    index = 2
    while index < len(words) and words[index].upper() in (b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR"):
        flags.add(words[index].upper())
        index += 1
    if len(words) == index or (len(words) - index) % 2:
        raise Refused(SYNTAX)
    if {b"NX", b"XX"} <= flags:
        raise Refused("ERR XX and NX options at the same time are not compatible")
    if len(flags & {b"NX", b"GT", b"LT"}) > 1:
        raise Refused("ERR GT, LT, and/or NX options at the same time are not compatible")
    if b"INCR" in flags and len(words) - index > 2:
        raise Refused("ERR INCR option supports a single increment-element pair")
    return flags, index


def _allowed(flags: set[bytes], known: float | None, score: float) -> bool:
    if known is None:
        return b"XX" not in flags
    if b"NX" in flags or (b"GT" in flags and score <= known):
        return False
    return not (b"LT" in flags and score >= known)


def _increase(
    keys: Keyspace, found: SortedSet, flags: set[bytes], amount: float, member: bytes
) -> bytes | None:
    known = found.scores.get(member)
    score = (known or 0.0) + amount
    if score != score:  # noqa: PLR0124 - NaN is the one that differs from itself
        raise Refused("ERR resulting score is not a number (NaN)")
    if not _allowed(flags, known, score):
        return None
    found.put(member, score)
    keys.dirty += 1
    return double(score)


@command("ZREM", -3, writes=True)
def zrem(keys: Keyspace, words: Words) -> int:
    """How many members were there."""
    found = keys.sorted_set(words[1])
    if found is None:
        return 0
    return _drop(keys, words[1], found, words[2:])


def _drop(keys: Keyspace, key: bytes, found: SortedSet, members: list[bytes]) -> int:
    gone = sum([found.remove(member) for member in members])
    keys.dirty += gone
    if not found.scores:
        del keys.data[key]
        keys.expires.pop(key, None)
    return gone


@command("ZSCORE", 3)
def zscore(keys: Keyspace, words: Words) -> bytes | None:
    """The member's score."""
    found = keys.sorted_set(words[1])
    score = found.scores.get(words[2]) if found else None
    return None if score is None else double(score)


@command("ZCARD", 2)
def zcard(keys: Keyspace, words: Words) -> int:
    """How many members."""
    found = keys.sorted_set(words[1])
    return len(found.order) if found else 0


@command("ZCOUNT", 4)
def zcount(keys: Keyspace, words: Words) -> int:
    """How many members have a score in that range."""
    return len(_by_score(keys, words[1], words[2], words[3]))


@command("ZRANGE", -4)
def zrange(keys: Keyspace, words: Words) -> list[bytes]:
    """Members by place, or by score with BYSCORE; REV, LIMIT and WITHSCORES as they are."""
    return _range(keys, words, reverse=None, by_score=None)


@command("ZREVRANGE", -4)
def zrevrange(keys: Keyspace, words: Words) -> list[bytes]:
    """Members by place, from the highest score on."""
    return _range(keys, words, reverse=True, by_score=False)


@command("ZRANGEBYSCORE", -4)
def zrangebyscore(keys: Keyspace, words: Words) -> list[bytes]:
    """Members by score."""
    return _range(keys, words, reverse=False, by_score=True)


@command("ZREVRANGEBYSCORE", -4)
def zrevrangebyscore(keys: Keyspace, words: Words) -> list[bytes]:
    """Members by score, downwards: the higher bound comes first."""
    return _range(keys, words, reverse=True, by_score=True)


@command("ZREMRANGEBYSCORE", 4, writes=True)
def zremrangebyscore(keys: Keyspace, words: Words) -> int:
    """How many members went."""
    gone = [member for _, member in _by_score(keys, words[1], words[2], words[3])]
    found = keys.sorted_set(words[1])
    return _drop(keys, words[1], found, gone) if found else 0


@command("ZPOPMIN", -2, writes=True)
def zpopmin(keys: Keyspace, words: Words) -> list[bytes]:
    """Takes the lowest off, with their scores."""
    if len(words) > 3:
        raise Refused(SYNTAX)
    count = integer(words[2], "ERR value is out of range, must be positive") if len(words) > 2 else 1
    if count < 0:
        raise Refused("ERR value is out of range, must be positive")
    found = keys.sorted_set(words[1])
    if found is None:
        return []
    first = found.order[:count]
    _drop(keys, words[1], found, [member for _, member in first])
    return _reply(first, with_scores=True)


def _range(keys: Keyspace, words: Words, *, reverse: bool | None, by_score: bool | None) -> list[bytes]:
    """Any of the ranges; what is None is asked for by an option."""
    with_scores, offset, count, index = False, 0, -1, 4
    limited = False
    while index < len(words):
        option = words[index].upper()
        if option == b"WITHSCORES":
            with_scores = True
        elif option == b"LIMIT" and index + 2 < len(words):
            offset, count, limited = integer(words[index + 1]), integer(words[index + 2]), True
            index += 2
        elif option == b"REV" and reverse is None:
            reverse = True
        elif option == b"BYSCORE" and by_score is None:
            by_score = True
        else:
            raise Refused(SYNTAX)
        index += 1
    if limited and count != -1 and not by_score:
        raise Refused(BAD_LIMIT)
    if not by_score:
        return _placed(keys, words, reverse=bool(reverse), with_scores=with_scores)
    pairs = _by_score(keys, words[1], *((words[3], words[2]) if reverse else (words[2], words[3])))
    if reverse:
        pairs.reverse()
    if offset < 0:
        return []
    return _reply(pairs[offset : None if count < 0 else offset + count], with_scores=with_scores)


def _placed(keys: Keyspace, words: Words, *, reverse: bool, with_scores: bool) -> list[bytes]:
    start, stop = integer(words[2]), integer(words[3])
    found = keys.sorted_set(words[1])
    if found is None:
        return []
    pairs = found.order[::-1] if reverse else found.order
    start = max(0, start + len(pairs)) if start < 0 else start
    stop = stop + len(pairs) if stop < 0 else stop
    return _reply(pairs[start : stop + 1] if stop >= start else [], with_scores=with_scores)


def _by_score(keys: Keyspace, key: bytes, low: bytes, high: bytes) -> Pairs:
    (least, without_least), (most, without_most) = _bound(low), _bound(high)
    found = keys.sorted_set(key)
    if found is None:
        return []
    return [
        pair
        for pair in found.order
        if (pair[0] > least if without_least else pair[0] >= least)
        and (pair[0] < most if without_most else pair[0] <= most)
    ]


def _bound(word: bytes) -> tuple[float, bool]:
    without = word.startswith(b"(")
    return number(word[1:] if without else word, BAD_BOUND), without


def _reply(pairs: Pairs, *, with_scores: bool) -> list[bytes]:
    if not with_scores:
        return [member for _, member in pairs]
    return [word for score, member in pairs for word in (member, double(score))]
