"""`tapedeck usage`."""

from datetime import datetime
from typing import Annotated

import typer

from tapedeck.commands.terminal import (
    JsonOption,
    TokenOption,
    UrlOption,
    UserOption,
    print_json,
    print_result,
    print_table,
)
from tapedeck.operators.spans import length
from tapedeck.storage_types import DayOfUsage
from tapedeck.system import System

_DAY = ["%Y-%m-%d"]


def usage(
    *,
    first: Annotated[
        datetime | None,
        typer.Option("--from", formats=_DAY, help="UTC day; else the day before the last."),
    ] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", formats=_DAY, help="The last day, included; else today.")
    ] = None,
    user: UserOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Show how much audio a user sent, by UTC day."""
    from tapedeck.commands.storage import storage_client  # noqa: PLC0415 - not needed for --help

    system = System(url, token, user)
    with storage_client(system) as client:
        found = client.usage(
            system.uid, first=first.date() if first else None, last=last.date() if last else None
        )
    if json:
        print_json(found)
        return
    print_table(["day", "seconds", ""], [_row(day) for day in found.days], empty="there is no such day")
    limit = length(found.daily_limit_ms / 1000) if found.daily_limit_ms else "none"
    print_result(f"daily limit: {limit}")


def _row(day: DayOfUsage) -> list[str]:
    """What came; of an older day, what the bucket still has of it."""
    if day.ms is None:
        return [day.day.isoformat(), f"{(day.stored_ms or 0) / 1000:.1f}", "time that its objects take up"]
    return [day.day.isoformat(), f"{day.ms / 1000:.1f}", ""]
