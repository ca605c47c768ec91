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
    ├── HeldError                 another merge has the conversation
    ├── LettersError              a conversation has dead letters, which cannot be merged
    ├── MergedError               the conversation has gone into another, where a session that is resumed goes on
    ├── TooManyOperationsError    as many operations of a kind as there may be are undone for a user
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
    """The conversation is held by a merge: frozen while it goes into `target`, or gone there already."""

    def __init__(self, target: str) -> None:
        super().__init__(f"the conversation is being merged into {target}")
        self.target = target


class NamedByCutError(BusError):
    """A cut that stands speaks of that name: what is put under it would be taken for the cut's own. Take another."""


class MergedError(BusError):
    """The conversation has gone into `target`: who resumes goes on there, with a session of its own."""

    def __init__(self, target: str, previous_offset: int | None) -> None:
        super().__init__(f"the conversation was merged into {target}")
        self.target = target
        self.previous_offset = previous_offset
        """Up to where the session to resume is safe, in payload bytes; None where that is not known any more."""


class HeldError(BusError):
    """Another merge has the conversation: the operation of this id."""

    def __init__(self, operation_id: str) -> None:
        super().__init__(f"the conversation is held by operation {operation_id}")
        self.operation_id = operation_id


class LettersError(BusError):
    """The conversation has dead letters: what they hold lies in no bucket, so it cannot go into another conversation."""


class NotKnownError(BusError):
    """Redis knows nothing of the conversation any more: what is left of it can be exported, and dropped."""


class MovingError(BusError):
    """A conversation was recorded into or drained each time that it was read. Ask again."""

    retryable = True


class TooManyOperationsError(BusError):
    """As many operations of this kind as there may be are undone for the user. Try again when one is done."""

    retryable = True


class FormatMismatchError(BusError):
    """The session to resume was recorded as `recorded`, which is not what the client offers now."""

    def __init__(self, recorded: str) -> None:
        super().__init__(f"the session was recorded as {recorded}")
        self.recorded = recorded


class BusContractError(BusError):
    """A script's answer makes no sense."""
