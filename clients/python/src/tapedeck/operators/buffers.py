"""`tapedeck buffers`: what waits in Redis, getting it stored, and writing it to a folder when the bucket is away."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from tapedeck.commands.terminal import ERR, FAILED, JsonOption, print_json, print_table
from tapedeck.operators import reach
from tapedeck.operators.export_child import Exported, export
from tapedeck.operators.reach import ConversationArgument, RedisOption
from tapedeck.operators.spans import length, several, times

if TYPE_CHECKING:
    from audiobus import Conversation
    from tapedeck.operators.flushing import Flush, Flushed
    from tapedeck.operators.masters import Away, Masters
    from tapedeck.operators.waiting import Waiting

app = typer.Typer(help="What waits in Redis to be stored.", no_args_is_help=True)

NOTHING = "nothing waits: all that was recorded is stored"
NOBODY_AFTER_S = 10.0
"""Nothing is stored for so long: it is looked whether any pusher is at work."""

TimeoutOption = Annotated[
    float, typer.Option("--timeout", min=0, help="Seconds to wait until it is stored; 0 waits without end.")
]
FolderArgument = Annotated[Path, typer.Argument(help="Folder to write to; it is made if it is missing.")]


@app.command("list")
def list_buffers(
    *,
    sort: Annotated[
        Literal["age", "size"], typer.Option(help="What waits longest first, or what takes the most memory.")
    ] = "age",
    redis_url: RedisOption = None,
    json: JsonOption = False,
) -> None:
    """Show what waits, by age and size."""
    rows, away = asyncio.run(_buffers(redis_url))
    if sort == "size":
        rows.sort(key=lambda row: (-(row.bytes or 0), -row.seconds))
    if json:
        print_json({"buffers": rows, "seconds": sum(row.seconds for row in rows), "away": away})
        if away:
            raise typer.Exit(FAILED)
        return
    cells = [
        [
            row.conversation,
            f"{row.seconds:.3f}",
            "?" if row.bytes is None else str(row.bytes),
            str(row.entries),
            "" if row.age_seconds is None else length(row.age_seconds),
            str(row.dead_letters or ""),
            f"{row.state} ({times(row.fails)}): {row.why}" if row.fails else row.state,
        ]
        for row in rows
    ]
    columns = ["conversation", "seconds", "bytes", "entries", "oldest", "dead", "state"]
    print_table(columns, cells, empty="nothing is seen to wait" if away else NOTHING)
    if rows:
        total = sum(row.seconds for row in rows)
        taken = sum(row.bytes or 0 for row in rows) / 2**20
        ERR.print(
            f"{several(len(rows), 'conversation', 'conversations')}, {length(total)} of audio, {taken:.1f} MiB of Redis",
            markup=False,
            highlight=False,
        )
    name_away(away, "what it holds is not shown")


@app.command()
def flush(
    conversation: ConversationArgument,
    *,
    timeout: TimeoutOption = 300,
    redis_url: RedisOption = None,
    json: JsonOption = False,
) -> None:
    """Have a conversation's buffer stored now, and wait for it. Exit code 1 where it is not stored in time."""
    one = reach.conversation(conversation)
    _tell(asyncio.run(_flush(redis_url, one, timeout or None)), json=json)


@app.command("flush-all")
def flush_all(
    *,
    timeout: TimeoutOption = 300,
    redis_url: RedisOption = None,
    json: JsonOption = False,
) -> None:
    """Have every buffer stored now, and wait for it."""
    _tell(asyncio.run(_flush(redis_url, None, timeout or None)), json=json)


@app.command("export")
def export_one(
    conversation: ConversationArgument,
    directory: FolderArgument,
    *,
    redis_url: RedisOption = None,
    json: JsonOption = False,
) -> None:
    """Write a conversation's buffer to a folder, as the files that the bucket would get. Nothing leaves Redis."""
    one = reach.conversation(conversation)
    asyncio.run(_must_be_known(redis_url, one))
    _show_exported(export([one.tag], directory, redis_url), directory, json=json)


@app.command("export-all")
def export_all(directory: FolderArgument, *, redis_url: RedisOption = None, json: JsonOption = False) -> None:
    """Write every buffer to a folder, likewise."""
    _show_exported(export(None, directory, redis_url), directory, json=json)


def name_away(away: "Sequence[Away]", what: str) -> None:
    """Names the masters that do not answer, and what that means here; exits with 1 where there is one."""
    for one in away:
        ERR.print(
            f"{one.server} does not answer: {what} ({one.why})", style="red", markup=False, highlight=False
        )
    if away:
        raise typer.Exit(FAILED)


async def _buffers(redis_url: str | None) -> "tuple[list[Waiting], tuple[Away, ...]]":
    from tapedeck.operators.masters import Masters  # noqa: PLC0415 - not needed for --help
    from tapedeck.operators.waiting import buffers  # noqa: PLC0415 - not needed for --help

    async with reach.redis(redis_url) as bus:
        masters = Masters(bus)
        return await buffers(masters, time.time_ns() // 1_000_000), masters.away


async def _must_be_known(redis_url: str | None, conversation: "Conversation") -> None:
    async with reach.redis(redis_url) as bus:
        await reach.must_be_known(bus, conversation)


async def _flush(
    redis_url: str | None, conversation: "Conversation | None", within_s: float | None
) -> "Flushed":
    from tapedeck.operators.flushing import Flush  # noqa: PLC0415 - not needed for --help
    from tapedeck.operators.masters import Masters  # noqa: PLC0415 - not needed for --help

    async with reach.redis(redis_url) as bus:
        masters = Masters(bus)
        flush = Flush(masters)
        if conversation is not None:
            await reach.must_be_known(bus, conversation)
            await flush.ask([conversation])
        else:
            async for page in masters.buffers():
                await flush.ask(page)
        with _progress(flush) as show:
            nobody = _Nobody(masters)

            async def seen(now: "Flush") -> None:
                show(now)
                await nobody.look(now)

            return await flush.wait(within_s, seen)


@dataclass(slots=True)
class _Nobody:
    """Says once that no pusher is at work, where nothing gets stored and that is why."""

    masters: "Masters"
    settled: int = -1
    since_s: float = 0.0
    said: bool = False

    async def look(self, flush: "Flush") -> None:
        """Raises BusUnavailableError where Redis does not answer."""
        from tapedeck.operators.pushers import readers  # noqa: PLC0415 - not needed for --help

        if flush.settled_samples != self.settled:
            self.settled, self.since_s = flush.settled_samples, time.monotonic()
        elif not self.said and flush.left and time.monotonic() - self.since_s >= NOBODY_AFTER_S:
            self.since_s = time.monotonic()
            if await readers(self.masters) == 0:
                self.said = True
                ERR.print("No pusher is at work: it is stored when one is started.", markup=False)


@contextmanager
def _progress(flush: "Flush") -> Iterator[Callable[["Flush"], None]]:
    """A bar on a terminal, nothing elsewhere."""
    columns = (TextColumn("storing"), BarColumn(), TextColumn("{task.fields[state]}"), TimeElapsedColumn())
    with Progress(*columns, console=ERR, disable=not ERR.is_terminal, transient=True) as progress:
        task = progress.add_task("flush", total=flush.total_samples or 1, state="")

        def seen(now: "Flush") -> None:
            state = f"{length(now.stored_samples / 48_000)} stored, {len(now.left)} conversations left"
            progress.update(task, completed=now.settled_samples, state=state)

        yield seen


def _tell(flushed: "Flushed", *, json: bool) -> None:
    if json:
        print_json(flushed)
    elif not flushed.conversations and not flushed.away:
        ERR.print(NOTHING, markup=False)
    else:
        deleted = f", {length(flushed.deleted_seconds)} deleted meanwhile" if flushed.deleted_seconds else ""
        ERR.print(f"{length(flushed.stored_seconds)} stored{deleted}", markup=False, highlight=False)
        for line in _in_the_way(flushed):
            ERR.print(line, style="red", markup=False, highlight=False)
    if not flushed.done or flushed.lost_seconds or flushed.away or flushed.not_asked:
        raise typer.Exit(FAILED)


def _in_the_way(flushed: "Flushed") -> Iterator[str]:
    if flushed.new_dead_letters:
        entries = several(flushed.new_dead_letters, "entry", "entries")
        yield f"{entries} could not be stored; `tapedeck dead list` says why"
    if flushed.lost_seconds:
        yield f"{length(flushed.lost_seconds)} are gone and were not stored: Redis lost them"
    if not flushed.done:
        yield (
            f"{length(flushed.waiting_seconds)} wait still. It goes on without this command; "
            "`tapedeck buffers list` says what is in the way"
        )
    for tag in flushed.not_asked:
        yield f"{tag}: nobody could be told to store it"
    for one in flushed.away:
        yield f"{one.server} does not answer: not all that it holds was asked for ({one.why})"
    if flushed.problem and not flushed.away:
        yield f"Redis does not answer: {flushed.problem}"


def _show_exported(exported: list[Exported], directory: Path, *, json: bool) -> None:
    away = [one for one in exported if one.server]
    found = [one for one in exported if not one.server]
    if json:
        told = [{"server": one.server, "why": one.problem} for one in away]
        print_json({"directory": str(directory), "conversations": found, "away": told})
    else:
        rows = [
            [
                one.conversation,
                f"{one.seconds:.3f}",
                str(one.objects),
                str(one.unreadable or ""),
                one.problem or ("deleted: nothing written" if one.deleted else ""),
            ]
            for one in found
            if one.objects or one.unreadable or one.problem or one.deleted
        ]
        columns = ["conversation", "seconds", "objects", "unreadable", ""]
        print_table(columns, rows, empty="nothing is seen to wait" if away else "nothing waits")
        for one in away:
            text = f"{one.server} does not answer: what it holds was not written ({one.problem})"
            ERR.print(text, style="red", markup=False, highlight=False)
    if any(one.problem for one in exported):
        if not json:
            ERR.print("Not everything was written.", style="red", markup=False)
        raise typer.Exit(FAILED)
