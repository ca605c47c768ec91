r"""How commands speak to people and to programs.

Results and their sums go to stdout; hints, problems, notes, progress, and that there is nothing to show go to stderr. With `--json`
stdout is one JSON document. What cannot be printed (it may come from a key's or an object's name) is written as `\x1b`.

Exit codes: 0 done; 1 failed; 2 used wrongly; 3 no system was found; 4 there is nothing of that name; 130 interrupted.
"""

import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console

from tapedeck.errors import (
    BadRequestError,
    NoSuchThingError,
    NotFoundError,
    SystemNotFoundError,
    TapedeckError,
    UsageError,
)


class _Console(Console):
    """One that no text can make do anything but show it."""

    def print(self, *objects: Any, **options: Any) -> None:
        """As rich has it."""
        super().print(*(visible(one) if isinstance(one, str) else one for one in objects), **options)


def visible(text: str) -> str:
    """The text with escapes for what cannot be printed, but for line breaks."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() or one == "\n" else one.encode("unicode_escape").decode() for one in text
    )


OUT = _Console(soft_wrap=True)
"""Tables and sums; tells programs apart from terminals by itself."""
ERR = _Console(stderr=True, soft_wrap=True)

NUMBERS = {"seconds", "stored", "bytes", "chunks", "objects", "size", "sent", "acked"}
"""Columns that stand to the right."""

NONSENSE = (0, 400)
"""Of requests that cannot be meant so: not sent, or refused by the service."""
FAILED, WRONG_USE, NO_SYSTEM, NOT_FOUND, INTERRUPTED = 1, 2, 3, 4, 130

UrlOption = Annotated[
    str | None,
    typer.Option("--url", help="Address of the service; else the environment, else the ready file."),
]
TokenOption = Annotated[
    str | None,
    typer.Option("--token", help="Bearer token; else TAPEDECK_TOKEN, else one from the ready file."),
]
UserOption = Annotated[
    str | None,
    typer.Option(
        "--user",
        help="Whose audio; else the user of the token (its claim TAPEDECK_JWT_UID_CLAIM, else `sub`), else `demo`.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def rfc3339(moment: datetime) -> str:
    """UTC, with milliseconds, as the storage API writes times."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def print_json(value: object) -> None:
    """One JSON document on stdout, pretty on a terminal."""
    document = msgspec.json.encode(_as_written(msgspec.to_builtins(value, builtin_types=(datetime,))))
    text = msgspec.json.format(document, indent=2) if sys.stdout.isatty() else document
    sys.stdout.write(text.decode() + "\n")


def _as_written(value: object) -> object:
    """The same with each datetime as the API writes it."""
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, dict):
        return {name: _as_written(one) for name, one in value.items()}
    return [_as_written(one) for one in value] if isinstance(value, (list, tuple)) else value


def print_table(columns: list[str], rows: list[list[str]], *, empty: str) -> None:
    """A table, or the sentence that there is nothing to show. Nothing is cut off: ids and names are there to be copied."""
    if not rows:
        ERR.print(empty, markup=False)
        return
    rows = [[visible(cell).replace("\n", "\\n") for cell in row] for row in rows]
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]

    def line(cells: list[str]) -> str:
        parts = [
            cell.rjust(width) if column in NUMBERS else cell.ljust(width)
            for column, cell, width in zip(columns, cells, widths, strict=True)
        ]
        return "  ".join(parts).rstrip()

    OUT.print(line(columns), style="bold", markup=False, highlight=False)
    for row in rows:
        OUT.print(line(row), markup=False, highlight=False)


def print_result(text: str) -> None:
    """A line of result, for people."""
    OUT.print(text, markup=False, highlight=False)


def report(error: TapedeckError) -> int:
    """Say what went wrong and what to do next; the exit code."""
    ERR.print(f"tapedeck: {error}", style="red", markup=False, highlight=False)
    if error.hint:
        ERR.print(f"  {error.hint}", markup=False, highlight=False)
    if isinstance(error, SystemNotFoundError):
        return NO_SYSTEM
    if isinstance(error, UsageError) or (isinstance(error, BadRequestError) and error.status in NONSENSE):
        return WRONG_USE
    return NOT_FOUND if isinstance(error, (NotFoundError, NoSuchThingError)) else FAILED
