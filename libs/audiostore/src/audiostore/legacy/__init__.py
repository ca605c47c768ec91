"""The six older formats: objects that buckets hold which were filled before Tapedeck, read for ever.

One is written only where something is cut out of one: as raw PCM, sealed where that was (`content.write_pcm`). Owns their names (`names`), the Opus blob (`blob`), the sealed records (`records`), and what an object of any of them holds (`content`).
Pure: bytes in, audio out. It opens no store.
"""

from audiostore.legacy.content import (
    SAMPLE_RATE,
    LegacyAudio,
    read_legacy,
    samples_by_size,
    told_samples,
    write_pcm,
)
from audiostore.legacy.names import MAGIC_BYTES, AudioName, Extension, is_ours, parse_audio_name

__all__ = [
    "MAGIC_BYTES",
    "SAMPLE_RATE",
    "AudioName",
    "Extension",
    "LegacyAudio",
    "is_ours",
    "parse_audio_name",
    "read_legacy",
    "samples_by_size",
    "told_samples",
    "write_pcm",
]
