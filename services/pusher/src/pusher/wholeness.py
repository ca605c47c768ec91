"""Whether an object is whole: whether what lies there can be read to its end, and is what it says of itself.

Metadata and tags tell what somebody meant to write. A bucket may have stored other bytes, and whoever put them may have died, or been unable to
reach it, before they were taken away again. So where the audio is about to lose its other copy because an object was found, the bytes count. What
came over a network may be wrong where the object is not: it is damaged if it is so twice. It removes nothing.
"""

import asyncio
import hashlib

import google_crc32c

from audiocodec.errors import CodecError
from audiostore import sealing
from audiostore.batch import Batch, batch_facts, read_batch
from audiostore.errors import (
    BatchFormatError,
    ChecksumError,
    TamperedError,
    TooLargeError,
    UnknownKeyError,
)
from audiostore.facts import KEY
from audiostore.key_ring import KeyRing
from audiostore.names import parse_name
from audiostore.sealed_batch import check_start
from audiostore.sealing import open_head, open_sealed, sealed_key_id
from audiostore.store import ObjectInfo, Store
from pusher.errors import CannotTellError
from pusher.object_facts import READS, RUNS


def is_just(info: ObjectInfo, data: bytes) -> bool:
    """Whether the store itself says that just these bytes lie there. `info` is what `head` answers."""
    return not info.claimed and (info.size, info.crc32c) == (len(data), google_crc32c.value(data))


def opens_not(info: ObjectInfo, data: bytes, ring: KeyRing) -> bool:
    """Whether just these bytes lie there, and yet the key that they name opens none of them. Blocks.

    Either what lies there is damaged, or the ring has other bytes under the key's id: nobody can tell which. A key that opens the first record is the
    right one.
    """
    name = parse_name(info.name)
    if name is None or not name.sealed or not is_just(info, data):
        return False
    try:
        sealed_key_id(data)
    except TamperedError:
        return False  # it names no key
    try:
        open_head(data[: sealing.HEAD_BYTES], ring, name.uid)
    except TamperedError:
        return True
    except UnknownKeyError:
        return False
    return False


async def whole_batch(store: Store, info: ObjectInfo, ring: KeyRing) -> Batch | None:
    """What the object holds, read to its end; None where it is damaged, or no batch of ours.

    Raises:
        NotFoundError: there is no such object any more.
        CannotTellError: only a key that is missing could tell.
        StoreError: it could not be fetched.
    """
    for _ in range(READS):
        try:
            data = await store.get(info.name)
        except ChecksumError:
            continue
        except TooLargeError:
            return None
        if (batch := await asyncio.to_thread(batch_in, info, data, ring)) is not None:
            return batch
    return None


def batch_in(info: ObjectInfo, data: bytes, ring: KeyRing) -> Batch | None:
    """What these bytes of the object hold, read to their end; None where they are damaged, or no batch of ours. Blocks.

    Raises:
        CannotTellError: only a key that is missing could tell.
    """
    name = parse_name(info.name)
    if name is None:
        return None
    try:
        plain = open_sealed(data, ring, name.uid) if name.sealed else data
        batch = read_batch(plain)
        check_start(batch.spans[0].start_ms, name)
        says = batch_facts(info.metadata) if info.metadata and RUNS in info.metadata else None
    except UnknownKeyError as error:
        if info.metadata and info.metadata.get(KEY, error.key_id) != error.key_id:
            return None  # it was sealed with another: the header is damaged
        raise CannotTellError(
            f"an object of the same time is sealed with the key {error.key_id!r}, which is not in the key ring: nobody can tell whether it "
            "is whole, so the other copy of its audio stays where it is; put the key back"
        ) from error
    except (BatchFormatError, CodecError, TamperedError):
        return None
    if says is not None and says.sha256 not in {None, hashlib.sha256(plain).hexdigest()}:
        return None
    return batch
