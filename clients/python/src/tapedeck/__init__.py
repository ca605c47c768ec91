"""Tapedeck's SDK: record into it (`ListenClient`), read what was recorded (`StorageClient`); and its command.

Speaks to the services through their public faces only.
"""

from tapedeck.audio_format import AudioFormat
from tapedeck.errors import ListenError, StorageError, TapedeckError
from tapedeck.listen_client import ListenClient
from tapedeck.listen_options import ListenOptions, Progress
from tapedeck.storage_client import AudioRequest, StorageClient

__all__ = [
    "AudioFormat",
    "AudioRequest",
    "ListenClient",
    "ListenError",
    "ListenOptions",
    "Progress",
    "StorageClient",
    "StorageError",
    "TapedeckError",
]
