"""The storage client of a command: a person waits, so that nobody there is said soon."""

from tapedeck import Retries, StorageClient
from tapedeck.system import System


def storage_client(system: System) -> StorageClient:
    """Of the system that the command speaks to. Raises SystemNotFoundError, TokenError, ClientSetupError."""
    return StorageClient(system.storage_url, system.reading_token(), retries=Retries(times=1))
