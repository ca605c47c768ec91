"""What `tapedeck doctor` looks at in Redis: the server, what pushers do there, and the books. Reads only."""

import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from audiobus import Bus, Hints
from audiobus.census import Balance, exact, known
from audiobus.errors import BusError, MovingError
from audiobus.memory import memory_share
from audiobus.redis_settings import complaints
from audiobus.servers import Server, servers
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
START_PUSHER: Final = (
    "start one (`python -m pusher`), or look at why it does not come up: `/readyz?verbose` on its admin port"
)


async def examine_redis(bus: Bus, settings: RedisSettings, high_water: float) -> AsyncIterator[Finding]:
    """The servers themselves.

    Raises:
        BusUnavailableError: Redis does not answer.
    """
    await bus.ping()
    for server in await servers(bus):
        yield _version(server, await server.info("server"))
        async for finding in _keeping(server, settings):
            yield finding
    found = await complaints(bus)
    for complaint in found:
        text, _, hint = complaint.rpartition("; ")
        yield wrong("redis settings", text or complaint, hint or "see docs/redis.md")
    if not found:
        yield fine("redis settings", "noeviction and appendonly are set")
    share = await memory_share(bus)
    if share is None:
        yield note(
            "redis memory",
            "there is no maxmemory: Redis grows until the machine has no more",
            "set maxmemory below what the machine has; from TAPEDECK_REDIS_HIGH_WATER of it on, buffers are drained early",
        )
    elif share >= high_water:
        yield wrong(
            "redis memory",
            f"{share:.0%} of maxmemory is taken; buffers are drained early, and from 90 % on sessions are refused",
            "look at the bucket first (`tapedeck buffers list`); else give Redis more memory",
        )
    else:
        yield fine("redis memory", f"{share:.0%} of maxmemory is taken")
    began_s = time.time()
    seconds, micros = await _time(bus)
    local_ms = (began_s + time.time()) * 500
    yield clocks("redis clock", round(seconds * 1000 + micros / 1000 - local_ms), "the clock of Redis")


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


async def examine_work(bus: Bus, now_ms: int) -> AsyncIterator[Finding]:
    """What pushers do, and what waits for them."""
    rows = await buffers(bus, now_ms)
    at_work = await readers(bus)
    if at_work is None:
        yield note("pushers", "whether any is at work cannot be seen: this user may not do CLIENT LIST")
    elif at_work:
        yield fine("pushers", f"{several(at_work, 'connection waits', 'connections wait')} for hints")
    else:
        say = wrong if rows else note
        yield say("pushers", "none is at work: nothing is stored", START_PUSHER)
    async for finding in _lists(bus, now_ms, at_work):
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


async def _lists(bus: Bus, now_ms: int, at_work: int | None) -> AsyncIterator[Finding]:
    pending = Hints(bus)
    hints = late = 0
    latest_s = 0.0
    again: list[str] = []
    for partition in range(bus.keys.partitions):
        ready = bus.keys.ready(partition)
        waiting = int(await bus.command("XLEN", ready))
        hints += waiting
        first = await bus.command("ZRANGE", bus.keys.due(partition), 0, 0, "WITHSCORES")
        if first:
            late_s = (now_ms - float(first[1])) / 1000
            latest_s = max(latest_s, late_s)
            late += late_s > LATE_S
        delivered = await pending.deliveries(partition, count=100)
        again += [one.decode() for one, times in delivered.items() if times >= MANY_DELIVERIES]
    if late:
        yield wrong("due", f"what should have been looked at waits since {length(latest_s)}", START_PUSHER)
    else:
        yield fine("due", "nothing is overdue")
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
    bus: Bus, seen: Callable[[int], None]
) -> tuple[Finding, int, Books, list[Unbalanced]]:
    """Adds up every conversation, entry by entry. `seen` is told now and then how many there were so far."""
    total = Balance()
    off: list[Unbalanced] = []
    count = letters = 0
    async for conversation in known(bus):
        count += 1
        try:
            balance = await exact(bus, conversation)
        except MovingError:
            off.append(
                Unbalanced(conversation.tag, 0.0, "it moved each time that it was looked at; ask again")
            )
            continue
        except BusError as error:
            if error.retryable:
                raise
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
    else:
        finding = fine("books", f"all of {several(count, 'conversation', 'conversations')} close")
    return finding, count, books, off


async def _time(bus: Bus) -> tuple[int, int]:
    """The clock of (a node of) Redis."""
    from redis.asyncio import RedisCluster  # noqa: PLC0415 - only here

    if isinstance(bus.client, RedisCluster):
        # Any of them: clocks of masters that stand apart show in each other's replication anyway.
        await bus.ping()
        answer: Any = await bus.client.execute_command("TIME", target_nodes=bus.client.get_random_node())
        answer = next(iter(answer.values())) if isinstance(answer, dict) else answer
    else:
        answer = await bus.command("TIME")
    return int(answer[0]), int(answer[1])
