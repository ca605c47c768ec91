"""`tapedeck ls`."""

import asyncio
from typing import Annotated

import typer

from tapedeck.commands.terminal import (
    JsonOption,
    TokenOption,
    UrlOption,
    UserOption,
    print_json,
    print_table,
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
    system = System(url, token, user)
    if conversation is None:
        _show_conversations(asyncio.run(_conversations(system)), system.uid, json=json)
    else:
        _show_parts(asyncio.run(_parts(system, conversation)), json=json)


async def _conversations(system: System) -> list[Conversation]:
    from tapedeck.storage_client import StorageClient  # noqa: PLC0415 - not needed for --help

    async with StorageClient(system.storage_url, system.reading_token()) as client:
        return [conversation async for conversation in client.conversations(system.uid)]


async def _parts(system: System, conversation_id: str) -> list[Chunk | Gap]:
    from tapedeck.storage_client import StorageClient  # noqa: PLC0415 - not needed for --help

    async with StorageClient(system.storage_url, system.reading_token()) as client:
        return [part async for part in client.chunks(system.uid, conversation_id)]


def _show_conversations(conversations: list[Conversation], uid: str, *, json: bool) -> None:
    if json:
        print_json({"user": uid, "conversations": conversations})
        return
    rows = [
        [
            c.conversation_id,
            c.start or "",
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


def _show_parts(parts: list[Chunk | Gap], *, json: bool) -> None:
    chunks = [part for part in parts if isinstance(part, Chunk)]
    gaps = [part for part in parts if isinstance(part, Gap)]
    if json:
        print_json({"chunks": chunks, "gaps": gaps})
        return
    rows = [
        [c.start, f"{c.duration_ms / 1000:.3f}", c.state, "" if c.size is None else str(c.size), c.path or ""]
        for c in chunks
    ]
    rows += [[gap.start, f"{gap.duration_ms / 1000:.3f}", "gap", "", ""] for gap in gaps]
    rows.sort(key=lambda row: row[0])
    print_table(["start", "seconds", "state", "size", "object"], rows, empty="there is no audio in it")
