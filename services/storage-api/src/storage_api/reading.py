"""From an object's bytes to what it holds, and from what goes wrong on the way to one of our reasons.

Pure; it takes time: for a thread. Owns which format is read how, with which key, and that each batch is held to its name: one that was
moved to another time is refused, sealed or not.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from audiocodec.errors import CodecError
from audiocodec.ogg import read_ogg_headers
from audiostore import sealing
from audiostore.batch import HEAD_BYTES, Batch, BatchFacts, batch_facts, batch_start_ms, read_batch
from audiostore.errors import BatchFormatError, LegacyFormatError, SealError, UnknownKeyError
from audiostore.key_ring import KeyRing
from audiostore.legacy import MAGIC_BYTES, AudioName, is_ours, read_legacy, told_samples
from audiostore.packed_batch import PackedBatch, read_packed_batch
from audiostore.sealed_batch import check_start, sealed_facts
from storage_api.errors import UnreadableError
from storage_api.keys import Keys
from storage_api.stored_object import OlderFacts, Verdict

SEALED_HEAD_BYTES: Final = sealing.HEAD_BYTES
PLAIN_HEAD_BYTES: Final = max(HEAD_BYTES, MAGIC_BYTES)


def facts_in_metadata(name: AudioName, metadata: Mapping[str, str] | None) -> BatchFacts | None:
    """What the metadata of a `.batch.*` says; None where it is not a batch's: then the object decides. UnreadableError: it was moved."""
    if not metadata:
        return None
    try:
        told = batch_facts(metadata)
    except BatchFormatError:
        return None  # another writer's, or an older one's
    try:
        check_start(told.start_ms, name)
    except SealError as error:
        raise _unreadable(name, error) from error
    return told


def head_bytes(name: AudioName, told: BatchFacts | None) -> int:
    """So many first bytes of a `.batch.*` must be looked at: all that its facts may take, or its key's id where they are told already."""
    if not name.sealed:
        return PLAIN_HEAD_BYTES
    return SEALED_HEAD_BYTES if told is None else sealing.HEADER_BYTES


def judge_head(name: AudioName, head: bytes, told: BatchFacts | None, keys: Keys) -> Verdict | None:
    """What the first bytes of a `.batch.*` say; None where it is one of the older formats. UnreadableError: ours, and it cannot be read."""
    if not is_ours(name, head):
        if not name.sealed and head.startswith(sealing.MAGIC):
            raise UnreadableError(
                name.path, "damaged", "it is sealed, and its name says that it is not: it was renamed"
            )
        return None
    try:
        if not name.sealed:
            told = batch_facts(read_ogg_headers(head))
            check_start(told.start_ms, name)
        elif told is None:
            told = sealed_facts(head, keys.ring, name)
        else:  # `facts_in_metadata` has checked their start
            keys.ring.key(sealing.sealed_key_id(head))
    except (CodecError, BatchFormatError, SealError) as error:
        raise _unreadable(name, error) from error
    return Verdict(told)


def open_batch(name: AudioName, data: bytes, ring: KeyRing) -> Batch:
    """The batch in a whole object of ours. UnreadableError."""
    try:
        return _batch(name, _plain(name, data, ring))
    except (BatchFormatError, SealError) as error:
        raise _unreadable(name, error) from error


def open_packed(name: AudioName, data: bytes, ring: KeyRing) -> PackedBatch | Batch:
    """The same, its packets not parted where that can be. UnreadableError."""
    try:
        plain = _plain(name, data, ring)
        packed = read_packed_batch(plain)
        if packed is None:
            return _batch(name, plain)
        check_start(packed.span.start_ms, name)
    except (BatchFormatError, SealError) as error:
        raise _unreadable(name, error) from error
    return packed


def open_quickly(name: AudioName, data: bytes, ring: KeyRing, most_packets: int) -> PackedBatch | None:
    """The same; None where it would take long, or packets must be parted. UnreadableError."""
    try:
        packed = read_packed_batch(_plain(name, data, ring), most_packets)
        if packed is not None:
            check_start(packed.span.start_ms, name)
    except SealError as error:
        raise _unreadable(name, error) from error
    return packed


def _plain(name: AudioName, data: bytes, ring: KeyRing) -> bytes:
    return sealing.open_sealed(data, ring, name.uid) if name.sealed else data


def _batch(name: AudioName, plain: bytes) -> Batch:
    batch = read_batch(plain)
    check_start(batch_start_ms(batch), name)
    return batch


def judge_older(name: AudioName, data: bytes, secret: str) -> tuple[Verdict, str]:
    """What a whole object in an older format holds, and what is wrong with it; nothing, where it can be read."""
    try:
        audio = read_legacy(name, data, secret)
    except LegacyFormatError as error:
        return Verdict(OlderFacts.of(name, told_samples(name, data)), "damaged"), str(error)
    return Verdict(OlderFacts.of(name, audio.pcm_bytes // 2)), ""


def judge_whole(name: AudioName, data: bytes, verdict: Verdict, keys: Keys) -> tuple[Verdict, str]:
    """Whether a whole object holds what `verdict` says, be it ours or older; else its facts with the reason, and what is wrong with it."""
    try:
        if isinstance(verdict.facts, OlderFacts):
            older_pcm(name, data, keys.legacy_secret)
        else:
            batch = open_batch(name, data, keys.ring)
            if verdict.facts is None or not holds(batch, verdict.facts):
                detail = "its packets are not those its facts tell of"
                return Verdict(verdict.facts, "not_a_batch"), detail
    except UnreadableError as error:
        return Verdict(verdict.facts, error.reason), error.detail
    return verdict, ""


def holds(batch: Batch, facts: BatchFacts) -> bool:
    """Whether the batch is the one that these facts tell of."""
    return [replace(span, packets=()) for span in batch.spans] == list(facts.spans)


def older_pcm(name: AudioName, data: bytes, secret: str) -> bytes:
    """The PCM of a whole object in an older format, s16le mono at 16 kHz. UnreadableError."""
    try:
        return read_legacy(name, data, secret).pcm()
    except LegacyFormatError as error:
        raise UnreadableError(name.path, "damaged", str(error)) from error


def _unreadable(name: AudioName, error: CodecError | BatchFormatError | SealError) -> UnreadableError:
    if isinstance(error, UnknownKeyError):
        return UnreadableError(name.path, "no_key", str(error))
    reason = "damaged" if isinstance(error, SealError) else "not_a_batch"
    return UnreadableError(name.path, reason, str(error))
