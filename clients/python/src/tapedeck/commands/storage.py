"""The storage client of a command: a person waits, so that nobody there is said soon. And the names that it is given."""

from tapedeck import Retries, StorageClient
from tapedeck.errors import UsageError
from tapedeck.storage.calls import segment
from tapedeck.system import System


def storage_client(system: System) -> StorageClient:
    """Of the system that the command speaks to. Raises SystemNotFoundError, TokenError, ClientSetupError."""
    return StorageClient(system.storage_url, system.reading_token(), retries=Retries(times=1))


def conversation_names(names: list[str]) -> list[str]:
    """Each once, in their order. Raises BadRequestError for what names nothing, UsageError for UID/CID, as operators' commands take it."""
    for name in names:
        segment(name)
        uid, slash, conversation_id = name.partition("/")
        if slash:
            raise UsageError(
                f"{name!r} can be no conversation", hint=f"{conversation_id} --user {uid}, if that is meant"
            )
    return list(dict.fromkeys(names))
