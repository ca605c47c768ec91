"""`tapedeck where`: where each second of a conversation is."""

import asyncio
import os
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from tapedeck.commands.terminal import ERR, FAILED, JsonOption, print_json, print_result, print_table
from tapedeck.commands.times import typed_time
from tapedeck.errors import NoSuchThingError
from tapedeck.operators import reach
from tapedeck.operators.reach import ConversationArgument, FallbackOption, RedisOption, StoreOption
from tapedeck.operators.spans import length, moment

if TYPE_CHECKING:
    from tapedeck.operators.where_sources import Whereabouts


def where(
    conversation: ConversationArgument,
    *,
    at: Annotated[
        str | None, typer.Option(help="Only what lies at this time: RFC 3339 or unix seconds.")
    ] = None,
    redis_url: RedisOption = None,
    store: StoreOption = None,
    fallback_store: FallbackOption = None,
    json: JsonOption = False,
) -> None:
    """Say for each second of a conversation where it is: stored in which object, waiting, dead, a gap, and why."""
    first = reach.usable(reach.store_address(store))
    second = reach.fallback_address(fallback_store, first)
    buckets = {"first": first, **({"second": reach.usable(second)} if second else {})}
    at_ms = int(typed_time(at).timestamp() * 1000) if at is not None else None
    found = asyncio.run(_look(redis_url, buckets, conversation))
    if not found.known and not found.problems:
        raise NoSuchThingError(
            f"nobody has recorded into {conversation}, as far as Redis and the bucket know",
            hint="are this the Redis and the bucket of the services, and the ids written as they were recorded?",
        )
    if at_ms is not None:
        starts = [one.start_ms for one in found.stretches]
        here = tuple(
            one
            for one, next_ms in zip(found.stretches, [*starts[1:], None], strict=False)
            if one.lies_at(at_ms, next_ms)
        )
        found = msgspec.structs.replace(found, stretches=here)
    if json:
        print_json(found)
    else:
        _show(found, at_ms)
    if found.problems:
        raise typer.Exit(FAILED)


async def _look(redis_url: str | None, buckets: dict[str, str], conversation: str) -> "Whereabouts":
    from tapedeck.operators.keys import at_hand  # noqa: PLC0415 - see the package
    from tapedeck.operators.where_sources import whereabouts  # noqa: PLC0415 - not needed for --help

    one = reach.conversation(conversation)
    keys = at_hand(os.environ)
    async with reach.redis(redis_url) as bus:
        return await whereabouts(bus, buckets, one, keys)


def _show(found: "Whereabouts", at_ms: int | None) -> None:
    second = any(one.bucket == "second" for one in found.stretches)
    rows = []
    for one in found.stretches:
        place = one.object.rpartition("/")[2] if one.object else ""
        if one.bucket == "second":
            place = f"{place} (second bucket)"
        rows.append([one.start, f"{one.seconds:.3f}" if one.length_known else "?", one.state, place, one.why])
    empty = "no audio of it is seen" if found.problems or found.notes else "there is no audio in it"
    if at_ms is not None:
        empty = f"nothing is known of {moment(at_ms)}"
    print_table(["start", "seconds", "state", "object", "why"], rows, empty=empty)
    books = found.books if at_ms is None else None
    if books is not None:
        print_result(
            f"{length(books.received)} received = {length(books.stored)} stored + {length(books.waiting)} waiting"
            f" + {length(books.dead)} dead + {length(books.deleted)} deleted"
        )
        if books.difference:
            ERR.print(
                f"The books are off by {books.difference:.6f} s: see `tapedeck doctor`.",
                style="red",
                markup=False,
            )
    if second:
        ERR.print("What lies in the second bucket moves home when the first is back.", markup=False)
    for note in found.notes:
        ERR.print(note, markup=False, highlight=False)
    if found.user_deleted_before is not None:
        ERR.print(
            f"The user deleted what was recorded before {found.user_deleted_before}.",
            markup=False,
            highlight=False,
        )
    for problem in found.problems:
        ERR.print(problem, style="red", markup=False, highlight=False)
