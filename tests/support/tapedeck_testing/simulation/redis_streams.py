"""Commands of the Redis model on streams, without their groups."""

from typing import Any, Final

from tapedeck_testing.simulation.redis_command import SYNTAX, Words, arity_error, command, integer
from tapedeck_testing.simulation.redis_keyspace import Keyspace, Refused
from tapedeck_testing.simulation.redis_values import LARGEST_ID, Row, Stream

BAD_ID: Final = "ERR Invalid stream ID specified as stream command argument"
TOO_SMALL: Final = "ERR The ID specified in XADD is equal or smaller than the target stream top item"
NODE: Final = 100
"""Entries of a node: what an approximate trim leaves alone may be as many."""
_LOW: Final = (1 << 64) - 1


def parse_id(word: bytes, sequence: int = 0) -> int:
    """An id as one number; `sequence` where the word has only milliseconds.

    Raises:
        Refused: no id.
    """
    head, dash, tail = word.partition(b"-")
    if not head.isdigit() or (dash and not tail.isdigit()):
        raise Refused(BAD_ID)
    ms, sequence = int(head), int(tail) if dash else sequence
    if ms > _LOW or sequence > _LOW:
        raise Refused(BAD_ID)
    return ms << 64 | sequence


def parse_start(word: bytes) -> int:
    """The lower bound of a range: `-`, an id, or `(` and an id."""
    if word == b"-":
        return 0
    if word == b"+":
        return LARGEST_ID
    if not word.startswith(b"("):
        return parse_id(word)
    at = parse_id(word[1:])
    if at == LARGEST_ID:
        raise Refused("ERR invalid start ID for the interval")
    return at + 1


def parse_last(word: bytes) -> int:
    """Where a group stands: `-`, `+` or an id."""
    if word in (b"-", b"+"):
        return 0 if word == b"-" else LARGEST_ID
    return parse_id(word)


def parse_end(word: bytes) -> int:
    """The upper bound of a range: `+`, an id, or `(` and an id."""
    if word == b"+":
        return LARGEST_ID
    if word == b"-":
        return 0
    if not word.startswith(b"("):
        return parse_id(word, _LOW)
    at = parse_id(word[1:], _LOW)
    if at == 0:
        raise Refused("ERR invalid end ID for the interval")
    return at - 1


def reply_row(row: Row) -> list[Any]:
    """An entry as it is answered."""
    return [row[0], row[1].copy()]


@command("XADD", -5, writes=True, needs_memory=True)
def xadd(keys: Keyspace, words: Words) -> bytes | None:
    """Appends an entry; its id."""
    index, make, trim = 2, True, None
    while index < len(words):
        option = words[index].upper()
        if option == b"NOMKSTREAM":
            make = False
            index += 1
        elif option in (b"MAXLEN", b"MINID"):
            trim, index = _parse_trim(words, index)
        else:
            break
    fields = words[index + 1 :]
    wanted = _wanted(words[index]) if index < len(words) else (None, None)
    if not fields or len(fields) % 2:
        raise arity_error(b"xadd")
    if wanted == (0, 0):
        raise Refused("ERR The ID specified in XADD must be greater than 0-0")
    found = keys.stream(words[1])
    if found is None:
        if not make:
            return None
        found = Stream()
    at = _next(found, wanted, keys.now_ms)
    keys.data[words[1]] = found
    name = found.append(at, fields)
    keys.dirty += 1
    if trim:
        _trim(found, *trim)
    return name


def _wanted(word: bytes) -> tuple[int | None, int | None]:
    if word == b"*":
        return (None, None)
    if word.endswith(b"-*"):
        return (parse_id(word[:-2]) >> 64, None)
    at = parse_id(word)
    return (at >> 64, at & _LOW)


def _next(found: Stream, wanted: tuple[int | None, int | None], now_ms: int) -> int:
    if found.last == LARGEST_ID:
        raise Refused("ERR The stream has exhausted the last possible ID, unable to add more items")
    ms, sequence = wanted
    if ms is None:
        return max(now_ms << 64, found.last + 1)
    if sequence is None:
        sequence = (found.last & _LOW) + 1 if found.last >> 64 == ms and found.last else 0
        if sequence > _LOW:
            raise Refused(TOO_SMALL)
    at = ms << 64 | sequence
    if at <= found.last:
        raise Refused(TOO_SMALL)
    return at


@command("XLEN", 2)
def xlen(keys: Keyspace, words: Words) -> int:
    """How many entries."""
    found = keys.stream(words[1])
    return len(found.ids) if found else 0


@command("XRANGE", -4)
def xrange(keys: Keyspace, words: Words) -> list[Any] | None:
    """Entries in order."""
    return _range(keys, words, words[2], words[3], step=1)


@command("XREVRANGE", -4)
def xrevrange(keys: Keyspace, words: Words) -> list[Any] | None:
    """Entries from the newest on: the upper bound comes first."""
    return _range(keys, words, words[3], words[2], step=-1)


def _range(keys: Keyspace, words: Words, start: bytes, end: bytes, *, step: int) -> list[Any] | None:
    low, high, count = parse_start(start), parse_end(end), None
    for index in range(4, len(words), 2):
        if words[index].upper() != b"COUNT" or index + 1 == len(words):
            raise Refused(SYNTAX)
        count = max(0, integer(words[index + 1]))
    found = keys.stream(words[1])
    if found is None:
        return []
    if count == 0:
        return None
    return [
        reply_row(row)
        for row in found.between(low, high, step * (len(found.ids) if count is None else count))
    ]


@command("XDEL", -3, writes=True)
def xdel(keys: Keyspace, words: Words) -> int:
    """How many were there."""
    found = keys.stream(words[1])
    if found is None:
        return 0
    gone = sum([found.remove(at) for at in [parse_id(word) for word in words[2:]]])
    keys.dirty += gone
    return gone


@command("XTRIM", -4, writes=True)
def xtrim(keys: Keyspace, words: Words) -> int:
    """How many went."""
    if words[2].upper() not in (b"MAXLEN", b"MINID"):
        raise Refused(SYNTAX)
    trim, index = _parse_trim(words, 2)
    if index < len(words):
        raise Refused(SYNTAX)
    found = keys.stream(words[1])
    gone = _trim(found, *trim) if found else 0
    keys.dirty += gone
    return gone


def _parse_trim(words: Words, index: int) -> tuple[tuple[bool, int, bool], int]:
    """By id or by length, the threshold, approximate or not; and where the next word is."""
    by_id = words[index].upper() == b"MINID"
    about = False
    if index + 2 < len(words) and words[index + 1] in (b"=", b"~"):
        index += 1
        about = words[index] == b"~"
    if index + 1 >= len(words):
        raise Refused(SYNTAX)
    threshold = parse_id(words[index + 1]) if by_id else integer(words[index + 1])
    if not by_id and threshold < 0:
        raise Refused("ERR The MAXLEN argument must be >= 0.")
    index += 2
    if index + 1 < len(words) and words[index].upper() == b"LIMIT":
        if not about:
            raise Refused("ERR syntax error, LIMIT cannot be used without the special ~ option")
        index += 2
    return (by_id, threshold, about), index


def _trim(found: Stream, by_id: bool, threshold: int, about: bool) -> int:  # noqa: FBT001 - what `_parse_trim` read
    count = found.below(threshold) if by_id else max(0, len(found.ids) - threshold)
    if about:
        count -= count % NODE
    found.remove_first(count)
    return count
