"""Commands of the Redis model on consumer groups. A read never blocks: who waits for an entry asks again."""

from dataclasses import dataclass
from typing import Any, Final

from tapedeck_testing.simulation.redis_command import OK, SYNTAX, Status, Words, command, integer
from tapedeck_testing.simulation.redis_keyspace import Keyspace, Refused
from tapedeck_testing.simulation.redis_streams import parse_end, parse_id, parse_start, reply_row
from tapedeck_testing.simulation.redis_values import (
    LARGEST_ID,
    Consumer,
    Group,
    Pending,
    Stream,
    id_text,
)

NO_STREAM: Final = (
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option"
    " to create an empty stream automatically."
)
LOOKS: Final = 10
"""XAUTOCLAIM looks at so many pending entries for each that it may return."""


@command("XGROUP", -2, writes=True)
def xgroup(keys: Keyspace, words: Words) -> Status | int:
    """CREATE, DESTROY, SETID, CREATECONSUMER or DELCONSUMER."""
    what = words[1].upper()
    least = {b"CREATE": 5, b"SETID": 5, b"DESTROY": 4, b"CREATECONSUMER": 5, b"DELCONSUMER": 5}
    if what not in least or len(words) < least[what]:
        raise Refused(f"ERR unknown subcommand or wrong number of arguments for '{words[1].decode()}'")
    found = keys.stream(words[2])
    if found is None:
        if what != b"CREATE" or words[5:6] not in ([b"MKSTREAM"], [b"mkstream"]):
            raise Refused(NO_STREAM)
        found = Stream()
    if what == b"CREATE":
        at = found.last if words[4] == b"$" else parse_id(words[4])
        keys.data[words[2]] = found
        if words[3] in found.groups:
            raise Refused("BUSYGROUP Consumer Group name already exists")
        found.groups[words[3]] = Group(at)
        keys.dirty += 1
        return OK
    if what == b"DESTROY":
        gone = found.groups.pop(words[3], None) is not None
        keys.dirty += gone
        return int(gone)
    group = found.groups.get(words[3])
    if group is None:
        raise Refused(
            f"NOGROUP No such consumer group '{words[3].decode()}' for key name '{words[2].decode()}'"
        )
    return _change(keys, found, group, words)


def _change(keys: Keyspace, found: Stream, group: Group, words: Words) -> Status | int:
    what, name = words[1].upper(), words[4]
    if what == b"SETID":
        group.delivered = found.last if name == b"$" else parse_id(name)
        keys.dirty += 1
        return OK
    if what == b"CREATECONSUMER":
        fresh = name not in group.consumers
        if fresh:
            group.consumers[name] = Consumer(keys.now_ms)
            keys.dirty += 1
        return int(fresh)
    held = [at for at, entry in group.pending.items() if entry.consumer == name]
    for at in held:
        del group.pending[at]
    if group.consumers.pop(name, None) is not None:
        keys.dirty += 1
    return len(held)


@dataclass(frozen=True, slots=True)
class Read:
    """What an XREADGROUP asks for."""

    group: bytes
    consumer: bytes
    count: int | None
    acknowledged: bool
    """NOACK: what is delivered counts as done."""
    streams: list[tuple[bytes, bytes]]
    """Key and id."""


def parse_read(words: Words) -> Read:
    """Reads the words of an XREADGROUP; BLOCK is left to who waits.

    Raises:
        Refused: they are none.
    """
    if words[1].upper() != b"GROUP":
        raise Refused(SYNTAX)
    count, acknowledged, index = None, False, 4
    while index < len(words) and (option := words[index].upper()) != b"STREAMS":
        if option == b"NOACK":
            acknowledged = True
            index += 1
            continue
        if option not in (b"COUNT", b"BLOCK") or index + 1 == len(words):
            raise Refused(SYNTAX)
        amount = integer(words[index + 1])
        if option == b"COUNT":
            count = max(0, amount) or None
        index += 2
    rest = words[index + 1 :]
    if not rest:
        raise Refused(SYNTAX)
    if len(rest) % 2:
        raise Refused(
            "ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '$' must be specified."
        )
    half = len(rest) // 2
    return Read(words[2], words[3], count, acknowledged, [*zip(rest[:half], rest[half:], strict=True)])


@command("XREADGROUP", -7, writes=True)
def xreadgroup(keys: Keyspace, words: Words) -> list[Any] | None:
    """What is new (`>`) for the consumer, or what it holds already, after an id."""
    read = parse_read(words)
    found: list[tuple[bytes, bytes, Stream, Group]] = []
    for key, at in read.streams:
        stream = keys.stream(key)
        group = stream.groups.get(read.group) if stream else None
        if stream is None or group is None:
            raise Refused(
                f"NOGROUP No such key '{key.decode()}' or consumer group '{read.group.decode()}' in XREADGROUP"
                " with GROUP option"
            )
        if at != b">":
            parse_id(at)
        found.append((key, at, stream, group))
    answer: list[Any] = []
    for key, at, stream, group in found:
        _seen(keys, group, read.consumer)
        if at != b">":
            answer.append([key, _held(keys, stream, group, read, parse_id(at))])
        elif rows := _deliver(keys, stream, group, read):
            answer.append([key, rows])
    return answer or None


def _seen(keys: Keyspace, group: Group, name: bytes) -> None:
    consumer = group.consumers.get(name)
    if consumer is None:
        group.consumers[name] = Consumer(keys.now_ms)
        keys.dirty += 1
    else:
        consumer.seen_ms = keys.now_ms


def _deliver(keys: Keyspace, stream: Stream, group: Group, read: Read) -> list[Any]:
    if stream.last <= group.delivered:
        return []
    rows = stream.between(group.delivered + 1, LARGEST_ID, read.count)
    for name, _ in rows:
        group.delivered = parse_id(name)
        if not read.acknowledged:
            group.pending[group.delivered] = Pending(read.consumer, keys.now_ms, 1)
    keys.dirty += len(rows)
    return [reply_row(row) for row in rows]


def _held(keys: Keyspace, stream: Stream, group: Group, read: Read, after: int) -> list[Any]:
    held = sorted(at for at, entry in group.pending.items() if entry.consumer == read.consumer and at > after)
    answer: list[Any] = []
    for at in held[: read.count]:
        row = stream.find(at)
        if row is None:
            answer.append([id_text(at), None])
            continue
        group.pending[at].delivered_ms = keys.now_ms
        group.pending[at].times += 1
        keys.dirty += 1
        answer.append(reply_row(row))
    return answer


@command("XACK", -4, writes=True)
def xack(keys: Keyspace, words: Words) -> int:
    """How many were pending."""
    found = keys.stream(words[1])
    group = found.groups.get(words[2]) if found else None
    if group is None:
        return 0
    wanted = [parse_id(word) for word in words[3:]]
    gone = sum([group.pending.pop(at, None) is not None for at in wanted])
    keys.dirty += gone
    return gone


def _group(keys: Keyspace, words: Words) -> tuple[Stream, Group]:
    found = keys.stream(words[1])
    group = found.groups.get(words[2]) if found else None
    if found is None or group is None:
        raise Refused(f"NOGROUP No such key '{words[1].decode()}' or consumer group '{words[2].decode()}'")
    return found, group


@command("XAUTOCLAIM", -6, writes=True)
def xautoclaim(keys: Keyspace, words: Words) -> list[Any]:
    """Takes over what another consumer has held too long: the next id to go on from, the entries, and the ids that are gone."""
    least_idle = max(0, integer(words[4], "ERR Invalid min-idle-time argument for XAUTOCLAIM"))
    start, count, only_ids, index = parse_start(words[5]), 100, False, 6
    while index < len(words):
        option = words[index].upper()
        if option == b"COUNT" and index + 1 < len(words):
            count = integer(words[index + 1])
            if count < 1:
                raise Refused("ERR COUNT must be > 0")
            index += 2
        elif option == b"JUSTID":
            only_ids = True
            index += 1
        else:
            raise Refused(SYNTAX)
    stream, group = _group(keys, words)
    waiting = sorted(at for at in group.pending if at >= start)
    claimed: list[Any] = []
    deleted: list[bytes] = []
    looked = 0
    while looked < len(waiting) and looked < count * LOOKS and len(claimed) + len(deleted) < count:
        at = waiting[looked]
        looked += 1
        row, entry = stream.find(at), group.pending[at]
        if row is None:
            del group.pending[at]
            deleted.append(id_text(at))
            keys.dirty += 1
        elif keys.now_ms - entry.delivered_ms >= least_idle:
            _seen(keys, group, words[3])
            entry.consumer, entry.delivered_ms = words[3], keys.now_ms
            entry.times += not only_ids
            keys.dirty += 1
            claimed.append(row[0] if only_ids else reply_row(row))
    return [id_text(waiting[looked]) if looked < len(waiting) else b"0-0", claimed, deleted]


@command("XPENDING", -3)
def xpending(keys: Keyspace, words: Words) -> list[Any]:
    """A summary, or with a range the entries: id, consumer, ms since the delivery, deliveries."""
    rest, least_idle = words[3:], 0
    if rest and rest[0].upper() == b"IDLE":
        least_idle, rest = integer(rest[1]), rest[2:]
    if rest and len(rest) not in (3, 4):
        raise Refused(SYNTAX)
    bounds = (parse_start(rest[0]), parse_end(rest[1]), max(0, integer(rest[2]))) if rest else None
    _, group = _group(keys, words)
    pending = sorted(group.pending.items())
    if bounds is None:
        if not pending:
            return [0, None, None, None]
        names = [entry.consumer for _, entry in pending]
        counts = [[name, b"%d" % names.count(name)] for name in sorted(set(names))]
        return [len(pending), id_text(pending[0][0]), id_text(pending[-1][0]), counts]
    low, high, count = bounds
    rows = [
        [id_text(at), entry.consumer, keys.now_ms - entry.delivered_ms, entry.times]
        for at, entry in pending
        if low <= at <= high
        and keys.now_ms - entry.delivered_ms >= least_idle
        and rest[3:] in ([], [entry.consumer])
    ]
    return rows[:count]
