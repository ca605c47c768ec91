"""What the Redis model tells about streams and their groups: XINFO and XPENDING."""

from typing import Any

from tapedeck_testing.simulation.redis_command import (
    BAD_SUBCOMMAND,
    SYNTAX,
    Words,
    command,
    integer,
    subcommand_arity,
    text,
    unknown_subcommand,
)
from tapedeck_testing.simulation.redis_keyspace import Keyspace, Refused
from tapedeck_testing.simulation.redis_streams import NODE, parse_end, parse_start, reply_row
from tapedeck_testing.simulation.redis_values import Group, Stream, id_text


@command("XINFO", -2)
def xinfo(keys: Keyspace, words: Words) -> list[Any]:
    """STREAM, GROUPS or CONSUMERS: names and values in turn."""
    about = words[1].upper()
    if about not in (b"STREAM", b"GROUPS", b"CONSUMERS"):
        raise unknown_subcommand(words)
    least = 4 if about == b"CONSUMERS" else 3
    if len(words) < least or (len(words) > least and about != b"STREAM"):
        raise subcommand_arity(words)
    found = keys.stream(words[2])
    if found is None:
        raise Refused("ERR no such key")
    if about == b"STREAM" and len(words) > 3:
        raise Refused(BAD_SUBCOMMAND % (text(words[1]), "XINFO"))
    if about == b"STREAM":
        return _about_stream(found)
    if about == b"GROUPS":
        return [_about_group(name, group) for name, group in sorted(found.groups.items())]
    group = found.groups.get(words[3])
    if group is None:
        raise Refused(f"NOGROUP No such consumer group '{text(words[3])}' for key name '{text(words[2])}'")
    held = [entry.consumer for entry in group.pending.values()]
    return [
        [b"name", name, b"pending", held.count(name), b"idle", keys.now_ms - consumer.seen_ms]
        for name, consumer in sorted(group.consumers.items())
    ]


def _about_stream(found: Stream) -> list[Any]:
    ends = [reply_row(found.rows[0]), reply_row(found.rows[-1])] if found.rows else [None, None]
    nodes = -(-len(found.rows) // NODE)
    return [
        *(b"length", len(found.rows), b"radix-tree-keys", nodes, b"radix-tree-nodes", nodes + 1),
        *(b"last-generated-id", id_text(found.last), b"max-deleted-entry-id", id_text(found.deleted)),
        *(b"entries-added", found.added),
        *(b"recorded-first-entry-id", found.rows[0][0] if found.rows else b"0-0"),
        *(b"groups", len(found.groups), b"first-entry", ends[0], b"last-entry", ends[1]),
    ]


def _about_group(name: bytes, group: Group) -> list[Any]:
    return [
        *(b"name", name, b"consumers", len(group.consumers), b"pending", len(group.pending)),
        *(b"last-delivered-id", id_text(group.delivered), b"entries-read", None, b"lag", None),
    ]


def group_of(keys: Keyspace, words: Words) -> tuple[Stream, Group]:
    """The stream and the group that the first two words after the name speak of.

    Raises:
        Refused: there is none.
    """
    found = keys.stream(words[1])
    group = found.groups.get(words[2]) if found else None
    if found is None or group is None:
        raise Refused(f"NOGROUP No such key '{text(words[1])}' or consumer group '{text(words[2])}'")
    return found, group


@command("XPENDING", -3)
def xpending(keys: Keyspace, words: Words) -> list[Any]:
    """A summary, or with a range the entries: id, consumer, ms since the delivery, deliveries."""
    if len(words) != 3 and not 6 <= len(words) <= 9:
        raise Refused(SYNTAX)
    rest, least_idle = words[3:], 0
    if rest and rest[0].upper() == b"IDLE":
        least_idle, rest = integer(rest[1]), rest[2:]
    if rest and len(rest) < 3:
        raise Refused(SYNTAX)
    bounds = (parse_start(rest[0]), parse_end(rest[1]), max(0, integer(rest[2]))) if rest else None
    _, group = group_of(keys, words)
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
        and rest[3:4] in ([], [entry.consumer])
    ]
    return rows[:count]
