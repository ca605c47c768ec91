"""`tapedeck cut`."""

from typing import Annotated

import typer

from tapedeck.commands.confirming import YesOption, confirm
from tapedeck.commands.operating import busy
from tapedeck.commands.rm import print_deleted
from tapedeck.commands.terminal import JsonOption, TokenOption, UrlOption, UserOption
from tapedeck.errors import UsageError
from tapedeck.system import System


def cut(
    *,
    conversation: Annotated[str, typer.Argument(help="Which one.")],
    start: Annotated[str | None, typer.Option(help="From here on: RFC 3339 or unix seconds.")] = None,
    end: Annotated[str | None, typer.Option(help="Up to here.")] = None,
    yes: YesOption = False,
    user: UserOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Cut a stretch of time out of a conversation for good; it remains as a gap."""
    from tapedeck.commands.storage import conversation_names, storage_client  # noqa: PLC0415 - not needed for --help

    (wanted,) = conversation_names([conversation])
    if "" in (start, end):
        raise UsageError(
            "a time is empty", hint="leave --start or --end out to cut from the beginning, or to the end"
        )
    if start is None and end is None:
        raise UsageError("--start or --end is needed", hint=f"`tapedeck rm {wanted}` deletes all of it")
    system = System(url, token, user)
    with storage_client(system) as client:
        stretch = f"{start or 'its beginning'} to {end or 'its end'}"
        confirm(f"Cut {stretch} out of {wanted} of {system.uid} for good?", yes=yes)
        with busy(f"cutting {wanted}"):
            deleted = client.delete_stretch(system.uid, wanted, start=start, end=end)
    print_deleted(deleted, json=json)
