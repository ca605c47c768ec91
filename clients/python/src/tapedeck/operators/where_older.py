"""An object in one of the older formats as a piece of a conversation's time: its name says when it starts, its content how long it lasts."""

from typing import Final

from audiostore import sealing
from audiostore.errors import ChecksumError, LegacyFormatError, TooLargeError
from audiostore.legacy import SAMPLE_RATE, AudioName, read_legacy, samples_by_size, told_samples
from audiostore.store import ObjectInfo, Store
from tapedeck.operators.whereabouts import Piece

OLDER: Final = "an older format"
_SAMPLES_OF_MS: Final = SAMPLE_RATE // 1000


async def older_piece(
    bucket: str, store: Store, name: AudioName, info: ObjectInfo, head: bytes, secret: str
) -> Piece:
    """The piece that it is; one whose length nothing tells is `endless`.

    Args:
        bucket: `first` or `second`.
        store: where it lies.
        name: its name.
        info: as it was listed.
        head: its first bytes, of a batch.
        secret: the older formats' secret; empty where there is none.

    Raises:
        NotFoundError: it is gone.
        StoreError: the bucket cannot be read.
    """
    samples, why = await _length(store, name, info, head, secret)
    end_ms = name.start_ms + (samples or 0) // _SAMPLES_OF_MS
    return Piece(name.start_ms, end_ms, "stored", why, info.name, bucket, endless=samples is None)


async def _length(
    store: Store, name: AudioName, info: ObjectInfo, head: bytes, secret: str
) -> tuple[int | None, str]:
    """Its length at 16 kHz, None where nothing tells it, and what is to be said of it."""
    if name.codec == "pcm" and not name.sealed and not head.startswith(sealing.MAGIC):
        return samples_by_size(name, info.size), OLDER
    closed = name.sealed and not secret
    if closed and name.codec == "opus":
        return None, f"{OLDER}, sealed: without TAPEDECK_LEGACY_SECRET it is not known how long it lasts"
    try:
        data = await store.get(name.path)
    except (ChecksumError, TooLargeError) as error:
        return None, f"{OLDER}; it is not known how long it lasts: {error}"
    if closed:
        told = told_samples(name, data)
        return (
            told or None,
            f"{OLDER}, sealed: without TAPEDECK_LEGACY_SECRET only its records' lengths are known",
        )
    try:
        return read_legacy(name, data, secret).pcm_bytes // 2, OLDER
    except LegacyFormatError as error:
        told = 0 if data.startswith(sealing.MAGIC) else told_samples(name, data)
        unknown = "" if told else "; it is not known how long it lasts"
        return told or None, f"{OLDER}, and it cannot be read ({error}){unknown}"
