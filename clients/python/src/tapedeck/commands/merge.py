"""`tapedeck merge`."""

from typing import Annotated

import typer

from tapedeck.commands.confirming import YesOption, confirm
from tapedeck.commands.operating import Numbers, TimeoutOption, WaitOption, follow
from tapedeck.commands.terminal import JsonOption, TokenOption, UrlOption, UserOption
from tapedeck.operators.spans import several
from tapedeck.system import System


def merge(  # noqa: PLR0913 - options of a command
    *,
    sources: Annotated[
        list[str], typer.Argument(help="What is merged; one that is named twice counts once.")
    ],
    into: Annotated[
        str,
        typer.Option(metavar="TARGET", help="What they go into: new, or there already, also one of them."),
    ],
    delete_sources: Annotated[
        bool,
        typer.Option(
            "--delete-sources/--keep-sources", help="They go when every copy was compared, or stay and go on."
        ),
    ] = True,
    yes: YesOption = False,
    wait: WaitOption = True,
    timeout: TimeoutOption = 0,
    user: UserOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Make one conversation out of several: sorted by time, each recorded byte once. Asking again does no harm."""
    from tapedeck.commands.storage import conversation_names, storage_client  # noqa: PLC0415 - not needed for --help

    wanted, (target,) = conversation_names(sources), conversation_names([into])

    def told(result: Numbers) -> str:
        conversations = several(int(result.get("sources", 0)), "conversation", "conversations")
        return f"{conversations} with {several(int(result.get('objects', 0)), 'object', 'objects')} merged into {target}"

    system = System(url, token, user)
    with storage_client(system) as client:
        gone = [one for one in wanted if one != target] if delete_sources else []
        if gone:
            question = (
                f"Merge into {target} of {system.uid}, and delete {', '.join(gone)} once all is copied?"
            )
            confirm(question, yes=yes, hint="add --yes, or --keep-sources")
        operation = client.merge(system.uid, wanted, target, delete_sources=delete_sources)
        later = "the same command again waits for its end"
        follow(client, operation, told, wait=wait, timeout_s=timeout, later=later, json=json)
