"""Tapedeck's SDK: record into it (`ListenClient`), read what was recorded (`StorageClient`); and its command.

Speaks to the services through their public faces only. What is named here is imported when it is asked for: the command answers sooner.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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

_MODULES = {
    "AudioFormat": "audio_format",
    "AudioRequest": "storage_client",
    "ListenClient": "listen_client",
    "ListenError": "errors",
    "ListenOptions": "listen_options",
    "Progress": "listen_options",
    "StorageClient": "storage_client",
    "StorageError": "errors",
    "TapedeckError": "errors",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f"tapedeck.{_MODULES[name]}"), name)
    return found
