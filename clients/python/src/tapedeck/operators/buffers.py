"""`tapedeck buffers`: what waits in Redis, getting it stored, and writing it to a folder when the bucket is away."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from tapedeck.commands.terminal import ERR, FAILED, JsonOption, print_json, print_result, print_table
from tapedeck.operators import reach
from tapedeck.operators.export_child import Exported, export
from tapedeck.operators.reach import ConversationArgument, RedisOption
from tapedeck.operators.spans import length, several, short, times

if TYPE_CHECKING:
    from audiobus import Conversation
    from audiobus.masters import Away, Masters, Strange
    from tapedeck.operators.beside import Beside
    from tapedeck.operators.flushing import Flush, Flushed
    from tapedeck.operators.waiting import Waiting

app = typer.Typer(help="What waits in Redis to be stored.", no_args_is_help=True)

NOTHING = "nothing waits"
WHY = 60
"""Characters of a reason in the table."""
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
    rows, else_, away, strange = asyncio.run(_buffers(redis_url))
    if sort == "size":
        rows.sort(key=lambda row: (-(row.bytes or 0), -row.seconds))
    if json:
        seconds = sum(row.seconds for row in rows)
        print_json({"buffers": rows, "seconds": seconds, "beside": else_, "away": away, "strange": strange})
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
            f"{row.state} ({times(row.fails)}): {short(row.why, WHY)}" if row.fails else row.state,
        ]
        for row in rows
    ]
    columns = ["conversation", "seconds", "bytes", "entries", "oldest", "dead", "state"]
    print_table(columns, cells, empty=_nothing(else_, away))
    if rows:
        total = sum(row.seconds for row in rows)
        taken = sum(row.bytes or 0 for row in rows) / 2**20
        print_result(
            f"{several(len(rows), 'conversation', 'conversations')}, {length(total)} of audio, {taken:.1f} MiB of Redis"
        )
        name_graves(else_)
    name_strange(strange)
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
    _tell(*asyncio.run(_flush(redis_url, one, timeout or None)), json=json)


@app.command("flush-all")
def flush_all(
    *,
    timeout: TimeoutOption = 300,
    redis_url: RedisOption = None,
    json: JsonOption = False,
) -> None:
    """Have every buffer stored now, and wait for it."""
    _tell(*asyncio.run(_flush(redis_url, None, timeout or None)), json=json)


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
    else_ = asyncio.run(_known(redis_url, one))
    _show_exported(export([one.tag], directory, redis_url), directory, else_, json=json)


@app.command("export-all")
def export_all(directory: FolderArgument, *, redis_url: RedisOption = None, json: JsonOption = False) -> None:
    """Write every buffer to a folder, likewise."""
    exported = [one for one in export(None, directory, redis_url) if one.tells]
    else_, strange = asyncio.run(_else(redis_url))
    _show_exported(exported, directory, else_, strange, json=json)


def name_graves(else_: "Beside") -> None:
    """Names the dead letters, which no flush and no export of buffers moves."""
    if else_.dead_letters:
        ERR.print(else_.graves, markup=False, highlight=False)


def name_away(away: "Sequence[Away]", what: str) -> None:
    """Names the masters that do not answer, and what that means here; exits with 1 where there is one."""
    for one in away:
        ERR.print(
            f"{one.server} does not answer: {what} ({one.why})", style="red", markup=False, highlight=False
        )
    if away:
        raise typer.Exit(FAILED)


def name_strange(strange: "Sequence[Strange]") -> None:
    """Names the keys that are named like a conversation's and are none, under a heading."""
    if strange:
        ERR.print("Keys that are no conversation's; nobody looks into them:", style="red", markup=False)
    for one in strange:
        ERR.print(f"  {one.key}: {one.why}", style="red", markup=False, highlight=False)


def _nothing(else_: "Beside", away: "Sequence[object]") -> str:
    """The sentence where nothing waits."""
    return "nothing is seen to wait" if away else else_.says(NOTHING)


async def _else(redis_url: str | None) -> "tuple[Beside, tuple[Strange, ...]]":
    from audiobus.masters import Masters  # noqa: PLC0415 - not needed for --help
    from tapedeck.operators.beside import beside  # noqa: PLC0415 - not needed for --help
    from tapedeck.operators.strange_keys import find_buffers  # noqa: PLC0415 - not needed for --help

    async with reach.redis(redis_url) as bus:
        masters = Masters(bus)
        return await beside(masters), await find_buffers(masters)


async def _buffers(
    redis_url: str | None,
) -> "tuple[list[Waiting], Beside, tuple[Away, ...], tuple[Strange, ...]]":
    from audiobus.masters import Masters  # noqa: PLC0415 - not needed for --help
    from tapedeck.operators.beside import beside  # noqa: PLC0415 - not needed for --help
    from tapedeck.operators.strange_keys import find_buffers  # noqa: PLC0415 - not needed for --help
    from tapedeck.operators.waiting import buffers  # noqa: PLC0415 - not needed for --help

    async with reach.redis(redis_url) as bus:
        masters = Masters(bus)
        rows = await buffers(masters, time.time_ns() // 1_000_000)
        else_ = await beside(masters)
        await find_buffers(masters)
        return rows, else_, masters.away, masters.strange


async def _known(redis_url: str | None, conversation: "Conversation") -> "Beside":
    from audiobus.masters import Masters  # noqa: PLC0415 - not needed for --help
    from tapedeck.operators.beside import beside  # noqa: PLC0415 - not needed for --help

    async with reach.redis(redis_url) as bus:
        await reach.must_be_known(bus, conversation)
        return await beside(Masters(bus), conversation)


async def _flush(
    redis_url: str | None, conversation: "Conversation | None", within_s: float | None
) -> "tuple[Flushed, Beside]":
    from audiobus.errors import BusUnavailableError  # noqa: PLC0415 - not needed for --help
    from audiobus.masters import Masters  # noqa: PLC0415 - not needed for --help
    from tapedeck.operators.beside import Beside, beside  # noqa: PLC0415 - not needed for --help
    from tapedeck.operators.flushing import Flush  # noqa: PLC0415 - not needed for --help
    from tapedeck.operators.strange_keys import find_buffers  # noqa: PLC0415 - not needed for --help

    async with reach.redis(redis_url) as bus:
        masters = Masters(bus)
        flush = Flush(masters)
        if conversation is not None:
            await reach.must_be_known(bus, conversation)
            await flush.ask([conversation])
        else:
            async for page in masters.buffers():
                await flush.ask(page)
            await find_buffers(masters)
        with _progress(flush) as show:
            nobody = _Nobody(masters)

            async def seen(now: "Flush") -> None:
                show(now)
                await nobody.look(now)

            flushed = await flush.wait(within_s, seen)
        # Last: what was asked for may have become dead letters meanwhile.
        try:
            return flushed, await beside(masters, conversation)
        except BusUnavailableError:
            return flushed, Beside(0, 0.0, "")


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


def _tell(flushed: "Flushed", else_: "Beside", *, json: bool) -> None:
    """`else_`: what was there before it."""
    if json:
        print_json({**msgspec.structs.asdict(flushed), "beside": else_})
    elif not flushed.conversations and not flushed.away and not flushed.not_asked:
        ERR.print(else_.says(NOTHING), markup=False, highlight=False)
    else:
        deleted = f", {length(flushed.deleted_seconds)} deleted meanwhile" if flushed.deleted_seconds else ""
        print_result(f"{length(flushed.stored_seconds)} stored{deleted}")
        for line in _in_the_way(flushed):
            ERR.print(line, style="red", markup=False, highlight=False)
        if not flushed.new_dead_letters:
            name_graves(else_)
    if not json:
        name_strange(flushed.strange)
    if not flushed.done or flushed.lost_seconds or flushed.away or flushed.not_asked or flushed.strange:
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


def _show_exported(
    exported: list[Exported],
    directory: Path,
    else_: "Beside",
    strange: "Sequence[Strange]" = (),
    *,
    json: bool,
) -> None:
    away = [one for one in exported if one.server]
    found = [one for one in exported if not one.server]
    if json:
        told = [{"server": one.server, "why": one.problem} for one in away]
        print_json(
            {
                "directory": str(directory),
                "conversations": found,
                "beside": else_,
                "away": told,
                "strange": strange,
            }
        )
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
            if one.tells
        ]
        columns = ["conversation", "seconds", "objects", "unreadable", ""]
        print_table(columns, rows, empty=_nothing(else_, away))
        if rows:
            name_graves(else_)
        for one in away:
            text = f"{one.server} does not answer: what it holds was not written ({one.problem})"
            ERR.print(text, style="red", markup=False, highlight=False)
        name_strange(strange)
    if strange or any(one.problem for one in exported):
        if not json:
            ERR.print("Not everything was written.", style="red", markup=False)
        raise typer.Exit(FAILED)
