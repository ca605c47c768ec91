"""`tapedeck get`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from tapedeck.commands.terminal import ERR, JsonOption, TokenOption, UrlOption, UserOption, print_json
from tapedeck.commands.times import typed_time
from tapedeck.storage_types import AudioFileFormat
from tapedeck.system import System

if TYPE_CHECKING:
    from tapedeck import AudioRequest


def get(  # noqa: PLR0913 - options of a command
    *,
    conversation: Annotated[str, typer.Argument(help="Which one.")],
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="File, or - for stdout; else CONVERSATION.FORMAT."),
    ] = None,
    format: Annotated[  # noqa: A002 - the option's name
        AudioFileFormat | None,
        typer.Option(help="ogg copies packets; wav and pcm decode; else as OUTPUT ends, else ogg."),
    ] = None,
    start: Annotated[str | None, typer.Option(help="From here on: RFC 3339 or unix seconds.")] = None,
    end: Annotated[str | None, typer.Option(help="Up to here.")] = None,
    fill_gaps: Annotated[bool, typer.Option(help="Gaps are silence, or left out.")] = True,
    user: UserOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Get a conversation's audio; a download that broke is taken up again."""
    from tapedeck import AudioRequest  # noqa: PLC0415 - not needed for --help
    from tapedeck.commands.storage import conversation_names  # noqa: PLC0415 - not needed for --help

    conversation_names([conversation])  # before a file is named after it
    system = System(url, token, user)
    chosen = format or _format_of(output)
    first = typed_time(start) if start is not None else None
    last = typed_time(end) if end is not None else None
    request = AudioRequest(chosen, first, last, fill_gaps)
    if output == "-":
        _to_stdout(system, conversation, request)
        return
    target = Path(output) if output is not None else Path(f"{conversation}.{chosen}")
    size, missing = _to_file(system, conversation, request, target)
    if missing:
        ERR.print(
            f"{missing} objects could not be read and are silent here; `tapedeck ls {conversation}` names them"
        )
    if json:
        print_json({"file": str(target), "bytes": size, "missing": missing})
    else:
        ERR.print(f"{target}: {size} bytes", markup=False, highlight=False)


def _format_of(output: str | None) -> AudioFileFormat:
    """The format that a file's name asks for."""
    match Path(output or "").suffix.lower():
        case ".wav":
            return "wav"
        case ".pcm" | ".raw":
            return "pcm"
        case _:
            return "ogg"


def _to_file(system: System, conversation_id: str, request: "AudioRequest", target: Path) -> tuple[int, int]:
    """Its bytes, and how many objects are missing."""
    from tapedeck.commands.storage import storage_client  # noqa: PLC0415 - not needed for --help

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with (
        storage_client(system) as client,
        Progress(*columns, console=ERR, disable=not ERR.is_terminal, transient=True) as progress,
    ):
        task = progress.add_task(target.name, total=None)

        def watch(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total)

        found = client.download_audio(system.uid, conversation_id, target, request, progress=watch)
    return found.bytes, found.facts.missing


def _to_stdout(system: System, conversation_id: str, request: "AudioRequest") -> None:
    from tapedeck.commands.storage import storage_client  # noqa: PLC0415 - not needed for --help

    with (
        storage_client(system) as client,
        client.stream_audio(system.uid, conversation_id, request) as stream,
    ):
        for part in stream:
            sys.stdout.buffer.write(part)
    sys.stdout.buffer.flush()
