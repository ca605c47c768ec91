"""`tapedeck doctor`: looks at Redis, the buckets, the clocks, libopus, the services and the books, and says what is wrong."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from tapedeck.commands.terminal import ERR, FAILED, JsonOption, print_json, print_result, print_table
from tapedeck.errors import BucketError, KeysError, OperatorError, SystemNotFoundError
from tapedeck.operators import reach
from tapedeck.operators.findings import Books, Diagnosis, Finding, Unbalanced, wrong
from tapedeck.operators.reach import FallbackOption, RedisOption, StoreOption
from tapedeck.operators.spans import length, several, short

if TYPE_CHECKING:
    from audiobus.masters import Masters

SIGNS = {"ok": "ok", "note": "note", "wrong": "WRONG"}
NAMED = 20
"""Conversations whose books are off that are named; `--json` names all."""
WIDEST = 160
"""Characters of a finding in the table."""
DEFAULT_HIGH_WATER = 0.75


def doctor(
    *,
    books: Annotated[
        bool, typer.Option(help="Add up every conversation; takes long where much waits.")
    ] = True,
    redis_url: RedisOption = None,
    store: StoreOption = None,
    fallback_store: FallbackOption = None,
    json: JsonOption = False,
) -> None:
    """Look at everything, and say what is wrong and what to do. Exit code 1 where something is wrong."""
    found = asyncio.run(_examine(redis_url, store, fallback_store, books=books))
    if json:
        print_json(found)
    else:
        _show(found)
    if not found.ok:
        raise typer.Exit(FAILED)


async def _examine(
    redis_url: str | None, store: str | None, fallback: str | None, *, books: bool
) -> Diagnosis:
    from audiobus.masters import Masters  # noqa: PLC0415 - not needed for --help
    from tapedeck.operators.doctor_local import examine_libopus, examine_services  # noqa: PLC0415 - not needed for --help
    from tapedeck.operators.doctor_settings import examine_settings  # noqa: PLC0415 - not needed for --help

    findings: list[Finding] = [examine_libopus()]
    findings += await examine_settings(os.environ)
    findings += [one async for one in examine_services()]
    findings += [one async for one in _buckets(store, fallback)]
    count: int | None = None
    total: Books | None = None
    off: list[Unbalanced] = []
    try:
        async with reach.redis(redis_url) as bus:
            masters = Masters(bus)
            async for one in _redis(masters, redis_url):
                findings.append(one)
            if books:
                finding, count, total, off = await _books(masters)
                findings.append(finding)
    except (OperatorError, SystemNotFoundError) as error:
        findings.append(wrong("redis", str(error), error.hint.removesuffix(reach.DOCTOR_HINT)))
    ok = all(one.level != "wrong" for one in findings)
    return Diagnosis(ok, tuple(findings), count, total, tuple(off))


async def _redis(masters: "Masters", redis_url: str | None) -> AsyncIterator[Finding]:
    from tapedeck.operators.doctor_local import examine_keys  # noqa: PLC0415 - not needed for --help
    from tapedeck.operators.doctor_redis import examine_redis, examine_work  # noqa: PLC0415 - not needed for --help
    from tapedeck.operators.keys import at_hand  # noqa: PLC0415 - see the package

    try:
        high_water = _high_water(os.environ)
    except ValueError:
        high_water = DEFAULT_HIGH_WATER  # told among the settings
    async for finding in examine_redis(masters, reach.redis_settings(redis_url), high_water):
        yield finding
    async for finding in _prefix(masters):
        yield finding
    async for finding in examine_work(masters, time.time_ns() // 1_000_000):
        yield finding
    yield await _letters(masters)
    async for finding in _strange(masters):
        yield finding
    try:
        ring = at_hand(os.environ).ring
    except KeysError as error:
        yield wrong("keys", str(error), error.hint)
    else:
        yield await examine_keys(masters, ring)


async def _prefix(masters: "Masters") -> AsyncIterator[Finding]:
    from tapedeck.operators.beside import PREFIX_HINT, beside  # noqa: PLC0415 - not needed for --help
    from tapedeck.operators.findings import note  # noqa: PLC0415 - beside the other

    found = await beside(masters)
    if found.nothing_of:
        yield note("redis keys", found.emptiness, PREFIX_HINT)


def _high_water(environ: Mapping[str, str]) -> float:
    """As the pusher reads it. Raises ValueError."""
    from servicekit.parsers import number  # noqa: PLC0415 - not needed for --help

    text = environ.get("TAPEDECK_REDIS_HIGH_WATER", "").strip()
    return number(0.1, 0.9)(text) if text else DEFAULT_HIGH_WATER


async def _letters(masters: "Masters") -> Finding:
    from audiobus.errors import BusUnavailableError  # noqa: PLC0415 - see the package
    from tapedeck.operators.findings import fine  # noqa: PLC0415 - beside the other

    count = 0
    conversations = {one async for page in masters.graves() for one in page}
    for one in conversations:
        key = masters.bus.keys.dead(one)
        try:
            count += int(await masters.bus.command("HLEN", key))
        except BusUnavailableError as error:
            masters.lost(key, error)
    if not count:
        return fine("dead letters", "none")
    return wrong(
        "dead letters",
        f"{count} in {several(len(conversations), 'conversation', 'conversations')}",
        "`tapedeck dead list` says why; `tapedeck dead retry` once that is mended",
    )


async def _strange(masters: "Masters") -> AsyncIterator[Finding]:
    from tapedeck.operators.strange_keys import find_all  # noqa: PLC0415 - not needed for --help

    found = await find_all(masters)
    if found:
        named = "; ".join(f"{one.key}: {one.why}" for one in found[:NAMED])
        more = f"; {len(found) - NAMED} more" if len(found) > NAMED else ""
        yield wrong(
            "strange keys",
            f"{several(len(found), 'key is', 'keys are')} no conversation's ({named}{more})",
            "nobody stores what is in them, and audio may be all the same: look at them with redis-cli, and delete none "
            "of which you do not know what it is; where something else has keys like these, give Tapedeck a prefix of its own",
        )


async def _buckets(store: str | None, fallback: str | None) -> AsyncIterator[Finding]:
    from tapedeck.operators.doctor_bucket import examine_bucket  # noqa: PLC0415 - not needed for --help

    try:
        first = reach.store_address(store)
    except (BucketError, SystemNotFoundError) as error:
        yield wrong("bucket", str(error), error.hint)
        first = None
    if first is not None:
        async for finding in examine_bucket("bucket", first):
            yield finding
    fallback = reach.fallback_address(fallback, first)
    if fallback and fallback.rstrip("/") == (first or "").rstrip("/"):
        yield wrong(
            "second bucket", "it is the first one", "set TAPEDECK_FALLBACK_STORE_URL to another bucket"
        )
    elif fallback:
        async for finding in examine_bucket("second bucket", fallback):
            yield finding


async def _books(masters: "Masters") -> tuple[Finding, int, Books, list[Unbalanced]]:
    from tapedeck.operators.doctor_redis import examine_books  # noqa: PLC0415 - not needed for --help

    if not ERR.is_terminal:
        return await examine_books(masters, lambda _count: None)
    with ERR.status("adding up the books") as status:
        return await examine_books(
            masters, lambda count: status.update(f"adding up the books: {count} so far")
        )


def _show(found: Diagnosis) -> None:
    rows = [[SIGNS[one.level], one.check, short(one.text, WIDEST)] for one in found.findings]
    print_table(["", "check", "found"], rows, empty="")
    books = found.books
    if found.conversations and books is not None:
        print_result(
            f"{length(books.received)} received = {length(books.stored)} stored + {length(books.waiting)} waiting"
            f" + {length(books.dead)} dead + {length(books.deleted)} deleted"
        )
    for one in found.unbalanced[:NAMED]:
        ERR.print(
            f"off: {one.conversation} {one.why or f'by {one.difference:.6f} s'}",
            style="red",
            markup=False,
            highlight=False,
        )
    for finding in found.findings:
        if finding.level != "ok" and finding.hint:
            style = "red" if finding.level == "wrong" else None
            ERR.print(f"{finding.check}: {finding.hint}", style=style, markup=False, highlight=False)
