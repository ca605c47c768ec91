"""Commands of the Redis model that change consumer groups, beside their reads."""

from typing import Any, Final

from tapedeck_testing.simulation.redis_command import (
    BAD_SUBCOMMAND,
    OK,
    SYNTAX,
    Status,
    Words,
    command,
    integer,
    subcommand_arity,
    text,
    unknown_subcommand,
)
from tapedeck_testing.simulation.redis_group_reads import seen
from tapedeck_testing.simulation.redis_keyspace import Keyspace, Refused
from tapedeck_testing.simulation.redis_stream_info import group_of
from tapedeck_testing.simulation.redis_streams import parse_id, parse_last, parse_start, reply_row
from tapedeck_testing.simulation.redis_values import (
    Consumer,
    Group,
    Stream,
    id_text,
)

NO_STREAM: Final = (
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option"
    " to create an empty stream automatically."
)
BAD_COUNT: Final = "ERR COUNT must be > 0"
LOOKS: Final = 10
"""XAUTOCLAIM looks at so many pending entries for each that it may return."""


@command("XGROUP", -2, writes=True, needs_memory=(b"CREATE", b"CREATECONSUMER"))
def xgroup(keys: Keyspace, words: Words) -> Status | int:
    """CREATE, DESTROY, SETID, CREATECONSUMER or DELCONSUMER."""
    what = words[1].upper()
    least = {b"CREATE": 5, b"SETID": 5, b"DESTROY": 4, b"CREATECONSUMER": 5, b"DELCONSUMER": 5}
    if what not in least:
        raise unknown_subcommand(words)
    options = what in (b"CREATE", b"SETID")
    if len(words) < least[what] or (len(words) > least[what] and not options):
        raise subcommand_arity(words)
    if [word.upper() for word in words[5:]] not in ([], [b"MKSTREAM"][: what == b"CREATE"]):
        raise Refused(BAD_SUBCOMMAND % (text(words[1]), "XGROUP"))
    found = keys.stream(words[2])
    if found is None:
        if what != b"CREATE" or len(words) == 5:
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
        raise Refused(f"NOGROUP No such consumer group '{text(words[3])}' for key name '{text(words[2])}'")
    return _change(keys, found, group, words)


def _change(keys: Keyspace, found: Stream, group: Group, words: Words) -> Status | int:
    what, name = words[1].upper(), words[4]
    if what == b"SETID":
        group.delivered = found.last if name == b"$" else parse_last(name)
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


@command("XAUTOCLAIM", -6, writes=True)
def xautoclaim(keys: Keyspace, words: Words) -> list[Any]:
    """Takes over what another consumer has held too long: the next id to go on from, the entries, and the ids that are gone."""
    least_idle = max(0, integer(words[4], "ERR Invalid min-idle-time argument for XAUTOCLAIM"))
    start, count, only_ids, index = parse_start(words[5]), 100, False, 6
    while index < len(words):
        option = words[index].upper()
        if option == b"COUNT" and index + 1 < len(words):
            count = integer(words[index + 1], BAD_COUNT)
            if count < 1:
                raise Refused(BAD_COUNT)
            index += 2
        elif option == b"JUSTID":
            only_ids = True
            index += 1
        else:
            raise Refused(SYNTAX)
    stream, group = group_of(keys, words)
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
            seen(keys, group, words[3])
            entry.consumer, entry.delivered_ms = words[3], keys.now_ms
            entry.times += not only_ids
            keys.dirty += 1
            claimed.append(row[0] if only_ids else reply_row(row))
    return [id_text(waiting[looked]) if looked < len(waiting) else b"0-0", claimed, deleted]
