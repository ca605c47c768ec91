"""Makes the seeds anew from real encodes: `python -m tapedeck_fuzz.make_seeds [TARGET…]`.

Owns what each target begins with: whole, right inputs of a few KB at most, every one of which its parser takes. The bytes of
packets depend on the libopus that is found, so a new run makes other files; nothing relies on which.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from tapedeck_fuzz import seeds_of_files, seeds_of_values
from tapedeck_fuzz.target import SEEDS, target_names

MAKERS: dict[str, Callable[[], Iterator[tuple[str, bytes]]]] = {
    "aac": seeds_of_files.aac,
    "adts": seeds_of_files.adts,
    "batch_facts": seeds_of_files.batch_facts_lines,
    "batch_file": seeds_of_files.batch_file,
    "chunk": seeds_of_values.chunk,
    "client_text": seeds_of_values.client_text,
    "conversation_state": seeds_of_values.conversation_state,
    "cut": seeds_of_values.cut,
    "draining": seeds_of_values.draining,
    "entry_id": seeds_of_values.entry_id,
    "http_query": seeds_of_values.http_query_texts,
    "key_ring": seeds_of_values.key_ring,
    "object_name": seeds_of_values.object_name,
    "older_blob": seeds_of_files.older_blob,
    "older_object": seeds_of_files.older_objects,
    "older_records": seeds_of_files.older_records,
    "ogg": seeds_of_files.ogg,
    "ogg_tags": seeds_of_files.ogg_tags,
    "packet": seeds_of_files.packet,
    "position": seeds_of_values.position,
    "recording": seeds_of_values.recording,
    "sealed_file": seeds_of_files.sealed_file_records,
    "sealed_head": seeds_of_files.sealed_head_plain,
    "session": seeds_of_values.session,
    "stored_object": seeds_of_files.stored_object,
    "wav": seeds_of_files.wav,
}


def write(name: str) -> list[Path]:
    """The seeds of one target, in place of those it had."""
    folder = SEEDS / name
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    written = []
    for seed, data in MAKERS[name]():
        written.append(folder / seed)
        written[-1].write_bytes(data)
    return written


if __name__ == "__main__":
    for name in sys.argv[1:] or target_names():
        print(name, *(f"{path.name}:{path.stat().st_size}" for path in write(name)))  # noqa: T201 - a command prints
