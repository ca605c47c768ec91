"""A download into a file, which can be taken up again by a later run.

What has come lies in `….part`, and beside it in `….part.etag` what it was a part of. The file itself appears whole.
"""

from collections.abc import Callable
from pathlib import Path

from tapedeck.errors import ChangedError
from tapedeck.storage_client import AudioRequest, Download, StorageClient

Watch = Callable[[int, int | None], None]
"""Told bytes so far, and of how many."""


async def download(
    client: StorageClient, uid: str, conversation_id: str, request: AudioRequest, target: Path, watch: Watch
) -> Download:
    """Get the audio into `target`; what an earlier run left is gone on with where the server allows it. StorageError."""
    part = target.with_name(f"{target.name}.part")
    note = target.with_name(f"{target.name}.part.etag")
    offset = part.stat().st_size if part.exists() and note.exists() else 0
    etag = note.read_text().partition("\n")[2] if offset else None
    if offset and note.read_text().partition("\n")[0] != _of(uid, conversation_id, request):
        offset, etag = 0, None
    try:
        found = await _fill(client, uid, conversation_id, request, (part, note, offset, etag), watch)
    except ChangedError:
        found = await _fill(client, uid, conversation_id, request, (part, note, 0, None), watch)
    part.replace(target)
    note.unlink(missing_ok=True)
    return found


async def _fill(
    client: StorageClient,
    uid: str,
    conversation_id: str,
    request: AudioRequest,
    state: tuple[Path, Path, int, str | None],
    watch: Watch,
) -> Download:
    part, note, offset, etag = state
    found = await client.download(uid, conversation_id, request, offset=offset, etag=etag)
    note.unlink(missing_ok=True)  # first: a part without a note is never gone on with
    with part.open("r+b" if found.offset else "wb") as file:
        file.seek(found.offset)
        file.truncate()
        if found.etag is not None:
            note.write_text(f"{_of(uid, conversation_id, request)}\n{found.etag}")
        done = found.offset
        async for piece in found.body:
            file.write(piece)
            done += len(piece)
            watch(done, found.total_bytes)
    return found


def _of(uid: str, conversation_id: str, request: AudioRequest) -> str:
    return f"{uid}/{conversation_id}?{sorted(request.query().items())}"
