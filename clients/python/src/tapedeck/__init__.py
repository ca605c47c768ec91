"""Tapedeck's SDK: record into it (`ListenClient`), use what was recorded (`StorageClient`, `AsyncStorageClient`); and its command.

Speaks to the services through their public faces only. What is named here is imported when it is asked for: the command answers sooner.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tapedeck.async_storage_client import AsyncStorageClient
    from tapedeck.audio_format import AudioFormat
    from tapedeck.errors import ListenError, StorageError, TapedeckError
    from tapedeck.listen_client import ListenClient
    from tapedeck.listen_options import ListenOptions, Progress
    from tapedeck.storage.audio import AudioRequest
    from tapedeck.storage.retries import Retries
    from tapedeck.storage_client import StorageClient

__all__ = [
    "AsyncStorageClient",
    "AudioFormat",
    "AudioRequest",
    "ListenClient",
    "ListenError",
    "ListenOptions",
    "Progress",
    "Retries",
    "StorageClient",
    "StorageError",
    "TapedeckError",
]

_MODULES = {
    "AsyncStorageClient": "async_storage_client",
    "AudioFormat": "audio_format",
    "AudioRequest": "storage.audio",
    "ListenClient": "listen_client",
    "ListenError": "errors",
    "ListenOptions": "listen_options",
    "Progress": "listen_options",
    "Retries": "storage.retries",
    "StorageClient": "storage_client",
    "StorageError": "errors",
    "TapedeckError": "errors",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f"tapedeck.{_MODULES[name]}"), name)
    return found
