"""`tapedeck ls`."""

from typing import Annotated

import typer

from tapedeck.commands.terminal import (
    JsonOption,
    TokenOption,
    UrlOption,
    UserOption,
    print_json,
    print_table,
    rfc3339,
)
from tapedeck.storage_types import Chunk, Conversation, Gap
from tapedeck.system import System


def ls(
    *,
    conversation: Annotated[str | None, typer.Argument(help="Show the chunks of this one.")] = None,
    user: UserOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """List a user's conversations, or what one of them consists of."""
    from tapedeck.commands.storage import storage_client  # noqa: PLC0415 - not needed for --help

    system = System(url, token, user)
    with storage_client(system) as client:
        if conversation is None:
            _show_conversations(list(client.conversations(system.uid)), system.uid, json=json)
            return
        pages = list(client.chunks(system.uid, conversation).pages())
    chunks = [chunk for page in pages for chunk in page.chunks]
    _show_parts(chunks, [gap for page in pages for gap in page.gaps], json=json)


def _show_conversations(conversations: list[Conversation], uid: str, *, json: bool) -> None:
    if json:
        print_json({"user": uid, "conversations": conversations})
        return
    rows = [
        [
            c.conversation_id,
            rfc3339(c.start),
            f"{c.recorded_seconds:.1f}",
            f"{c.stored_seconds:.1f}",
            str(c.bytes),
            str(c.chunks),
            "live" if c.live else "",
        ]
        for c in conversations
    ]
    columns = ["conversation", "start", "seconds", "stored", "bytes", "chunks", ""]
    print_table(columns, rows, empty=f"{uid} has no conversations; `tapedeck send FILE` records one")


def _show_parts(chunks: list[Chunk], gaps: list[Gap], *, json: bool) -> None:
    if json:
        print_json({"chunks": chunks, "gaps": gaps})
        return
    rows = [
        [
            rfc3339(c.start),
            f"{c.duration_ms / 1000:.3f}",
            c.state,
            "" if c.size is None else str(c.size),
            c.path or "",
        ]
        for c in chunks
    ]
    rows += [[rfc3339(gap.start), f"{gap.duration_ms / 1000:.3f}", "gap", "", ""] for gap in gaps]
    rows.sort(key=lambda row: row[0])
    print_table(["start", "seconds", "state", "size", "object"], rows, empty="there is no audio in it")
