"""What an object in one of the older formats holds: always speech at 16 kHz, mono, as PCM or as an Opus blob, sealed or not.

Owns the way from an object's bytes to its samples, and what can be said of its length without reading it. Whether an object is older at
all stands in `names`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from audiostore.errors import LegacyFormatError
from audiostore.legacy.blob import SAMPLE_RATE, OpusBlob, read_blob, told_pcm_bytes
from audiostore.legacy.records import RECORD_OVERHEAD_BYTES, open_records, seal_records, told_bytes
from audiostore.sealing import MAGIC as SEALED_MAGIC

if TYPE_CHECKING:
    from audiostore.legacy.names import AudioName

__all__ = [
    "SAMPLE_RATE",
    "LegacyAudio",
    "LegacyPcm",
    "read_legacy",
    "samples_by_size",
    "told_samples",
    "write_pcm",
]


@dataclass(frozen=True, slots=True)
class LegacyPcm:
    """Raw PCM, s16le mono at 16 kHz, without an odd trailing byte."""

    data: bytes

    @property
    def pcm_bytes(self) -> int:
        """Its size: even, and not 0."""
        return len(self.data)

    def pcm(self) -> bytes:
        """The audio, s16le mono at 16 kHz: exactly `pcm_bytes`."""
        return self.data


LegacyAudio: TypeAlias = LegacyPcm | OpusBlob
"""Both know `pcm_bytes`, and `pcm()`."""


def read_legacy(name: AudioName, data: bytes, secret: str) -> LegacyAudio:
    """What the older object of this name holds. `secret` is used for sealed ones only.

    Raises LegacyFormatError, naming the structure and the defect; also for an object that holds no sample, and for one of ours that is
    sealed and was renamed: what it holds would be noise.
    """
    if not name.sealed and data.startswith(SEALED_MAGIC):
        raise LegacyFormatError("older object: it is sealed by Tapedeck, and its name says that it is not")
    plain = open_records(data, secret, name.uid) if name.sealed else data
    audio: LegacyAudio = read_blob(plain) if name.codec == "opus" else LegacyPcm(plain[: len(plain) // 2 * 2])
    if not audio.pcm_bytes:
        raise LegacyFormatError(f"older object of {len(data)} bytes: it holds no sample")
    return audio


def write_pcm(pcm: bytes, *, sealed: bool, secret: str, uid: str) -> bytes:
    """The older batch that holds this PCM, s16le mono at 16 kHz, and is read back by `read_legacy` exactly: `.batch.bin`, `sealed` `.batch.enc`."""
    return seal_records(pcm, secret, uid) if sealed else pcm


def told_samples(name: AudioName, data: bytes) -> int:
    """Length at 16 kHz as far as an object that cannot be read still tells it; 0 where it does not. It is bounded by its size.

    Sealed records tell how much they hold to whoever has no key; what is sealed in a blob nobody knows.
    """
    if name.codec == "opus":
        return 0 if name.sealed else told_pcm_bytes(data) // 2
    return (told_bytes(data) if name.sealed else len(data)) // 2


def samples_by_size(name: AudioName, size: int) -> int | None:
    """Length at 16 kHz by the object's size alone; exact for `.bin`, nearly for sealed PCM; None where a size tells nothing."""
    if name.codec == "opus":
        return None
    return max(0, size - RECORD_OVERHEAD_BYTES if name.sealed else size) // 2
