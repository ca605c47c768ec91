"""XREADGROUP in the Redis model. It never blocks: who waits for an entry asks again."""

from dataclasses import dataclass
from typing import Any

from tapedeck_testing.simulation.redis_command import SYNTAX, Words, command, integer, text
from tapedeck_testing.simulation.redis_keyspace import Keyspace, Refused
from tapedeck_testing.simulation.redis_streams import parse_id, reply_row
from tapedeck_testing.simulation.redis_values import (
    LARGEST_ID,
    Consumer,
    Group,
    Pending,
    Stream,
    id_text,
)


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
            "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified."
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
                f"NOGROUP No such key '{text(key)}' or consumer group '{text(read.group)}' in XREADGROUP"
                " with GROUP option"
            )
        if at != b">":
            parse_id(at)
        found.append((key, at, stream, group))
    answer: list[Any] = []
    for key, at, stream, group in found:
        if at != b">":
            seen(keys, group, read.consumer)
            answer.append([key, _held(keys, stream, group, read, parse_id(at))])
        elif rows := _deliver(keys, stream, group, read):
            seen(keys, group, read.consumer)
            answer.append([key, rows])
    return answer or None


def seen(keys: Keyspace, group: Group, name: bytes) -> None:
    """The consumer has been heard of; it is made if it is new."""
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
