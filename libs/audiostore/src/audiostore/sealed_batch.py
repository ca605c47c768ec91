"""A sealed batch: how it is made of a plain one, and what it says of itself, read from its first bytes. Pure.

Owns the last rule of sealing, which needs both the file and its name: an object that says another start than its name was moved to
another time, and is refused. Whoever opens a whole object checks it with `check_start` too, and may do so for one that is not sealed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audiocodec.errors import CodecError
from audiocodec.ogg import read_ogg_headers
from audiostore.batch import BatchFile
from audiostore.errors import BatchFormatError, TamperedError
from audiostore.facts import HEAD_BYTES, KEY, BatchFacts, batch_facts
from audiostore.names import timestamp
from audiostore.sealing import open_head, seal, sealed_key_id

if TYPE_CHECKING:
    from audiostore.key_ring import KeyRing
    from audiostore.legacy import AudioName
    from audiostore.names import BatchName


def seal_batch(file: BatchFile, ring: KeyRing, uid: str) -> BatchFile:
    """The sealed object of this batch, with the ring's first key: another one each time. Raises KeyRingError (the ring is empty) or SealError."""
    data = seal(file.data, ring, uid)
    return BatchFile(data, {**file.metadata, KEY: sealed_key_id(data)})


def sealed_facts(prefix: bytes, ring: KeyRing, name: BatchName | AudioName) -> BatchFacts:
    """The facts of the sealed batch of this name, from the first `sealing.HEAD_BYTES` of its object.

    Raises UnknownKeyError, TamperedError (also where it says another start than its name) or BatchFormatError (what was sealed is no
    batch).
    """
    plain = open_head(prefix, ring, name.uid)
    try:
        facts = batch_facts(read_ogg_headers(plain[:HEAD_BYTES]))
    except CodecError as error:
        raise BatchFormatError(f"sealed batch: {error}") from error
    check_start(facts.start_ms, name)
    return facts


def check_start(start_ms: int, name: BatchName | AudioName) -> None:
    """Nothing, if a batch that starts at `start_ms`, unix ms, starts when its name says. Raises TamperedError."""
    if start_ms != name.start_ms:
        raise TamperedError(
            f"batch: it starts at {timestamp(start_ms)}, its name says {timestamp(name.start_ms)}: it was moved"
        )
