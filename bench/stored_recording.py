"""A recording that lies in the bucket already: objects as the pusher makes them, put there at once.

Owns their names, bytes and metadata. Written without `fsync`: what they cost to store is no figure here.
"""

import json
from pathlib import Path

import google_crc32c

from audiostore import file_metadata
from audiostore.batch import batch_end_ms, batch_file, batch_start_ms
from audiostore.names import BatchName
from bench import speech

UID = "bench"
START_MS = 1_700_000_000_000


def metadata_of(root: Path) -> Path:
    """The file beside the store's folder in which metadata lies, for a bucket that is filled with the same."""
    return root.parent / f"{root.name}.metadata.jsonl"


def store(
    root: Path, cid: str, count: int, batch_packets: int = speech.BATCH_PACKETS, start_ms: int = START_MS
) -> None:
    """One run of `count` objects below the folder of a `file://` store: the sample again and again, under other times."""
    with metadata_of(root).open("a", encoding="utf-8") as told:
        for batch in speech.batches(cid, start_ms, start_ms, count, batch_packets):
            name = BatchName(UID, cid, batch_start_ms(batch), batch_end_ms(batch)).path
            file = batch_file(batch)
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb", buffering=0) as written:
                written.write(file.data)
                file_metadata.write(written.fileno(), google_crc32c.value(file.data), file.metadata)
            told.write(json.dumps({"name": name, "metadata": file.metadata}) + "\n")
