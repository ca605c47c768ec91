"""The errors of this package, one tree.

    BusError                      something between the services went wrong
    ├── BusUnavailableError       Redis is away, slow or full: nothing was changed that a repeat would not change likewise
    │   ├── BusFullError          it refuses writes, as it has no memory left (noeviction)
    │   ├── BusRefusedError       it refuses this process: its user, its password or its rights
    │   └── NotReplicatedError    written, but not yet on as many replicas as asked for
    ├── StaleSocketError         a socket that arrived later owns the conversation
    ├── BadEntryError             bytes that are no entry of ours
    ├── BadUrlError               an address of Redis that cannot be used
    ├── ConversationDeletedError  a tombstone stands
    ├── NotKnownError             Redis knows nothing of a conversation any more
    ├── MovingError               a conversation changed faster than it could be read
    ├── MergingError              the conversation is being merged into another
    ├── FormatMismatchError       a session to resume was recorded in another format
    └── BusContractError          a script answered what it never should: a defect, or somebody else's keys

`retryable` says whether the same call can succeed later without anybody doing anything.
"""


class BusError(Exception):
    """The root of this package's errors."""

    retryable = False


class BusUnavailableError(BusError):
    """Redis did not answer, or refused because it is loading, full or failing over. Try again."""

    retryable = True


class BusFullError(BusUnavailableError):
    """Redis is at `maxmemory` and refuses writes; reads and draining still work. Try again: draining makes room."""


class BusRefusedError(BusUnavailableError):
    """Redis refuses user, password, or the right to do this. Try again: whoever changed it may still be at it."""


class NotReplicatedError(BusUnavailableError):
    """The write is on the master, but fewer replicas than asked for confirmed it in time. Write it again."""


class StaleSocketError(BusError):
    """The conversation is owned by a socket that arrived after this one: whoever is alive should connect again."""


class BadEntryError(BusError):
    """An entry, cut or dead letter that does not parse. The text names structure and defect."""


class BadUrlError(BusError):
    """The address of Redis is none that this package can use."""


class ConversationDeletedError(BusError):
    """The conversation carries a tombstone: nothing may be recorded into it."""


class MergingError(BusError):
    """The conversation is frozen while it is merged into `target`."""

    def __init__(self, target: str) -> None:
        super().__init__(f"the conversation is being merged into {target}")
        self.target = target


class NotKnownError(BusError):
    """Redis knows nothing of the conversation any more: what is left of it can be exported, and dropped."""


class MovingError(BusError):
    """A conversation was recorded into or drained each time that it was read. Ask again."""

    retryable = True


class FormatMismatchError(BusError):
    """The session to resume was recorded as `recorded`, which is not what the client offers now."""

    def __init__(self, recorded: str) -> None:
        super().__init__(f"the session was recorded as {recorded}")
        self.recorded = recorded


class BusContractError(BusError):
    """A script's answer makes no sense."""
