"""What `tapedeck doctor` looks at in Redis: the server, what pushers do there, and the books. Reads only."""

import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from audiobus import Conversation, Hints
from audiobus.census import Balance, exact
from audiobus.errors import BusError, BusUnavailableError, MovingError
from audiobus.masters import Masters
from audiobus.memory import share_of
from audiobus.redis_settings import NO_LIMIT, complaints_of
from audiobus.servers import Server
from servicekit.groups import RedisSettings
from tapedeck.operators.findings import Books, Finding, Unbalanced, clocks, fine, note, wrong
from tapedeck.operators.pushers import readers
from tapedeck.operators.spans import length, several, times
from tapedeck.operators.waiting import Waiting, buffers

OLDEST_VERSION: Final = (6, 2)
TESTED_VERSION: Final = (7, 0)
LATE_S: Final = 90
"""So long after its time a conversation on `due` shows that nobody schedules: pushers look each second."""
MANY_HINTS: Final = 1_000
MANY_DELIVERIES: Final = 5
OLD_S: Final = 300
"""Audio is stored within about two minutes where all is well."""
NAMED: Final = 5
"""Conversations that are named in one finding; `--json` and the other commands tell all."""
AWAY_HINT: Final = "bring it back: what it holds waits there, and is in nothing that is told here"
START_PUSHER: Final = (
    "start one (`python -m pusher`), or look at why it does not come up: `/readyz?verbose` on its admin port"
)


async def examine_redis(
    masters: Masters, settings: RedisSettings, high_water: float
) -> AsyncIterator[Finding]:
    """The servers themselves, each by itself.

    Raises:
        BusUnavailableError: none of them answers.
    """
    told: set[str] = set()
    full: tuple[float, Server] | None = None
    for server in await masters.there():
        try:
            yield _version(server, await server.info("server"))
            async for finding in _keeping(server, settings):
                yield finding
            told |= await complaints_of(server, settings.wait_replicas)
            share = await share_of(server)
        except BusUnavailableError as error:
            masters.missed(server, error)
            continue
        if share is not None and (full is None or share > full[0]):
            full = share, server
    told.discard(NO_LIMIT)  # said below, of what is taken
    await masters.there()
    for one in masters.away:
        yield wrong("redis", f"{one.server} does not answer ({one.why})", AWAY_HINT)
    for complaint in sorted(told):
        text, _, hint = complaint.rpartition("; ")
        yield wrong("redis settings", text or complaint, hint or "see docs/redis.md")
    if not told:
        yield fine("redis settings", "noeviction and appendonly are set")
    yield _memory(full, high_water)
    yield await _clock(masters)


def _memory(full: tuple[float, Server] | None, high_water: float) -> Finding:
    """`full`: the fullest master that has a limit."""
    if full is None:
        return note(
            "redis memory",
            "there is no maxmemory: Redis grows until the machine has no more",
            "set maxmemory below what the machine has; from TAPEDECK_REDIS_HIGH_WATER of it on, buffers are drained early",
        )
    share, server = full
    where = f" at {server.name}" if server.name else ""
    if share >= high_water:
        return wrong(
            "redis memory",
            f"{share:.0%} of maxmemory is taken{where}; buffers are drained early, and from 90 % on sessions are refused",
            "look at the bucket first (`tapedeck buffers list`); else give Redis more memory",
        )
    return fine("redis memory", f"{share:.0%} of maxmemory is taken{where}")


async def _clock(masters: Masters) -> Finding:
    """Of any one: clocks of masters that stand apart show in each other's replication anyway."""
    [server, *_] = await masters.there()
    began_s = time.time()
    seconds, micros = await server.command("TIME")
    local_ms = (began_s + time.time()) * 500
    ahead_ms = round(int(seconds) * 1000 + int(micros) / 1000 - local_ms)
    return clocks("redis clock", ahead_ms, "the clock of Redis")


def _version(server: Server, info: dict[str, Any]) -> Finding:
    text = str(info.get("redis_version", "0"))
    version = tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
    where = f" at {server.name}" if server.name else ""
    if version < OLDEST_VERSION:
        return wrong(
            "redis", f"Redis {text}{where} is too old", "6.2 is the oldest that works; run 7 or newer"
        )
    if version < TESTED_VERSION:
        return note("redis", f"Redis {text}{where} answers", "it works; 7 or newer is what is meant")
    return fine("redis", f"Redis {text}{where} answers")


async def _keeping(server: Server, settings: RedisSettings) -> AsyncIterator[Finding]:
    info = await server.info("replication")
    replicas = int(info.get("connected_slaves", 0))
    if info.get("role") != "master":
        yield wrong(
            "replicas", "this is a replica: it takes no writes", "set TAPEDECK_REDIS_URL to the master"
        )
    elif replicas < settings.wait_replicas:
        yield wrong(
            "replicas",
            f"{replicas} replicas are connected, and every write waits for {settings.wait_replicas}",
            "bring the replicas back, or lower TAPEDECK_REDIS_WAIT_REPLICAS: until then nothing is acked",
        )
    elif 0 < settings.wait_replicas < replicas:
        yield note(
            "replicas",
            f"{replicas} are connected, and writes wait for {settings.wait_replicas}: a master that hangs or is cut off with one of them, and comes back, can lose what it acked",
            "docs/redis.md, Replicas: wait for all of them, or know that",
        )
    elif replicas:
        yield fine("replicas", f"{replicas} connected; writes wait for {settings.wait_replicas}")
    else:
        yield note("replicas", "there is none: what Redis holds lies on one machine")
    info = await server.info("persistence")
    for field, what in (
        ("aof_last_write_status", "writing the AOF"),
        ("aof_last_bgrewrite_status", "rewriting the AOF"),
    ):
        if info.get(field, "ok") != "ok":
            yield wrong(
                "redis disk", f"{what} fails", "look at the disk of Redis: it refuses writes like this"
            )


async def examine_work(masters: Masters, now_ms: int) -> AsyncIterator[Finding]:
    """What pushers do, and what waits for them, on those masters that answer."""
    rows = await buffers(masters, now_ms)
    at_work = await readers(masters)
    if at_work is None:
        yield note("pushers", "whether any is at work cannot be seen: this user may not do CLIENT LIST")
    elif at_work:
        yield fine("pushers", f"{several(at_work, 'connection waits', 'connections wait')} for hints")
    else:
        say = wrong if rows else note
        yield say("pushers", "none is at work: nothing is stored", START_PUSHER)
    async for finding in _lists(masters, now_ms, at_work):
        yield finding
    yield _oldest(rows)
    failing = [row for row in rows if row.fails]
    if failing:
        named = "; ".join(f"{row.conversation} ({times(row.fails)}): {row.why}" for row in failing[:NAMED])
        more = f", {len(failing) - NAMED} more" if len(failing) > NAMED else ""
        yield wrong(
            "failures",
            f"{several(len(failing), 'conversation', 'conversations')} could not be stored at the last try: {named}{more}",
            "the reason says whether the bucket, a key or an entry is in the way; they are tried again without end",
        )


async def _lists(masters: Masters, now_ms: int, at_work: int | None) -> AsyncIterator[Finding]:
    bus = masters.bus
    pending = Hints(bus)
    hints = late = 0
    latest_s = 0.0
    again: list[str] = []
    for partition in range(bus.keys.partitions):
        ready = bus.keys.ready(partition)
        if masters.holds_up(ready) or masters.holds_up(bus.keys.due(partition)):
            continue
        try:
            hints += int(await bus.command("XLEN", ready))
            first = await bus.command("ZRANGE", bus.keys.due(partition), 0, 0, "WITHSCORES")
            delivered = await pending.deliveries(partition, count=100)
        except BusUnavailableError as error:
            masters.lost(ready, error)
            continue
        if first:
            late_s = (now_ms - float(first[1])) / 1000
            latest_s = max(latest_s, late_s)
            late += late_s > LATE_S
        again += [one.decode() for one, times in delivered.items() if times >= MANY_DELIVERIES]
    if late:
        yield wrong("due", f"what should have been looked at waits since {length(latest_s)}", START_PUSHER)
    else:
        # Just after the last pusher is gone it still says so.
        yield fine("due", f"nothing is overdue by more than {LATE_S} s")
    say = note if hints > MANY_HINTS and at_work != 0 else fine
    yield say("hints", f"{hints} that nobody has followed to the end")
    if again:
        yield wrong(
            "hints",
            f"{len(again)} were delivered {MANY_DELIVERIES} times and more ({', '.join(again[:NAMED])})",
            "draining that conversation ends its pusher, or never ends: look for 'comes again and again' in the pusher's log",
        )


def _oldest(rows: list[Waiting]) -> Finding:
    ages = [row for row in rows if row.age_seconds is not None]
    if not ages:
        return fine("oldest audio", "nothing waits")
    oldest = max(ages, key=lambda row: row.age_seconds or 0)
    age_s = oldest.age_seconds or 0
    total = sum(row.seconds for row in rows)
    text = f"{length(total)} of {several(len(rows), 'conversation', 'conversations')}; the oldest audio is {length(age_s)} old"
    if age_s > OLD_S:
        return wrong(
            "oldest audio",
            f"{text} ({oldest.conversation})",
            f"`tapedeck where {oldest.conversation}` says what is in the way; `tapedeck buffers export-all DIR` makes a copy",
        )
    return fine("oldest audio", text)


async def examine_books(
    masters: Masters, seen: Callable[[int], None]
) -> tuple[Finding, int, Books, list[Unbalanced]]:
    """Adds up every conversation that is seen, entry by entry. `seen` is told now and then how many there were so far."""
    bus = masters.bus
    total = Balance()
    off: list[Unbalanced] = []
    count = letters = 0
    async for conversation in _known(masters):
        if masters.holds_up(bus.keys.conv(conversation)):
            continue
        count += 1
        try:
            balance = await exact(bus, conversation)
        except MovingError:
            off.append(
                Unbalanced(conversation.tag, 0.0, "it moved each time that it was looked at; ask again")
            )
            continue
        except BusUnavailableError as error:
            masters.lost(bus.keys.conv(conversation), error)
            count -= 1
            continue
        except BusError as error:
            off.append(Unbalanced(conversation.tag, 0.0, str(error)))
            continue
        total += balance
        letters += balance.dead > 0
        if balance.difference:
            off.append(Unbalanced(conversation.tag, balance.difference / 48_000))
        if count % 50 == 0:
            seen(count)
    parts = (total.received, total.stored, total.waiting, total.dead, total.deleted, total.difference)
    books = Books(*(part / 48_000 for part in parts))
    if off:
        finding = wrong(
            "books",
            f"{len(off)} of {several(count, 'conversation', 'conversations')} do not close",
            "Redis lost or was given something that it had not confirmed, or its keys were changed by hand; `tapedeck where` shows each",
        )
    elif masters.away:
        finding = note(
            "books",
            f"all of {several(count, 'conversation', 'conversations')} close that are on masters that answer",
        )
    else:
        every = several(count, "conversation", "conversations")
        # Listing the whole bucket would take hours where it holds years.
        finding = fine(
            "books", f"all of {every} close; whether the bucket holds what is stored says `tapedeck where`"
        )
    return finding, count, books, off


async def _known(masters: Masters) -> AsyncIterator[Conversation]:
    """As `audiobus.census.known`, of those masters that answer."""
    keys = masters.bus.keys
    seen: set[Conversation] = set()
    for match, kind in (
        (keys.conv_pattern(), "hash"),
        (keys.audio_pattern(), "stream"),
        (keys.dead_pattern(), "hash"),
    ):
        async for page in masters.conversations(match, kind):
            for conversation in page:
                if conversation not in seen:
                    seen.add(conversation)
                    yield conversation
