"""The errors of the SDK and the command, and nothing else.

TapedeckError
├── ListenError               recording into the listen service failed for good
│   ├── NotAcceptedError      1003, 1007, 1009, 4400: what was sent is not what the server takes
│   ├── NotAllowedError       4403: this user may not record here (storing is off, or forbidden)
│   ├── UnauthorizedError     4401, and no newer token at hand
│   ├── DeletedError          4404: the conversation has been deleted
│   ├── ReplacedError         4409: a newer session has the conversation, or it is being merged
│   ├── UnreachableError      no socket could be opened for as long as the caller wants to wait
│   └── ProtocolError         the server said what the protocol does not allow
├── StorageError              the storage API answered with a problem, or not at all
│   ├── ClientSetupError      an address or a token that can't be used, or a client that is closed: nothing was sent
│   ├── StorageAwayError      no connection, or it broke, or took too long, and trying again did not help
│   ├── UnexpectedAnswerError what answered does not speak this API: another content type, garbage, a redirect
│   ├── BadRequestError       400, 405, 406, 408, 413, 416, 422: what was asked for can't be answered
│   ├── TokenRefusedError     401
│   ├── ForbiddenError        403: a token without the scope, or only services may do it
│   ├── NotFoundError         404
│   ├── ConflictError         409: a merge holds the conversation; a dead letter that nobody can store
│   ├── ServerError           500, 502 and others: the service, or what stands before it, failed
│   │   └── UnavailableError  429, 503, 504: not now; `retry_after` says when
│   ├── ChangedError          a download broke, and what is there now is no longer the same
│   ├── TargetFileError       a file can't be written, or another download writes it
│   ├── TooBigError           more than the caller wants to have in memory
│   ├── OperationFailedError  an operation is done, and failed
│   └── OperationPendingError an operation was not done in the time that the caller gave it
├── TokenError                a token can't be minted or read
├── SystemNotFoundError       no ready file, no address: there is no system to speak to
├── AudioFileError            an audio file can't be read
├── BucketError               an operator's command can't look into the bucket
├── OperatorError             an operator's command can't do what it was asked for
│   ├── RedisAwayError        Redis can't be reached, or refuses
│   ├── UsageError            what it was asked for makes no sense: a name that can be none, a time that is none
│   └── NoSuchThingError      there is nothing of that name
├── KeysError                 the keys of sealed objects can't be read or made
└── UpError                   `tapedeck up` can't run
    ├── AlreadyRunningError   another `up` holds the data directory
    ├── PortTakenError        a port belongs to somebody else
    └── RedisBinaryError      no Redis server to run, or one too old for what lies in the data directory

None of these goes away by trying the same again at once: whatever can is retried where it happens.
`hint` says what to do next, in one sentence; it may be empty.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tapedeck.storage_types import Operation


class TapedeckError(Exception):
    """What was being done, to what, and what went wrong; `hint` says what to do."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ListenError(TapedeckError):
    """The recording has stopped. `code` is the error code or close code that the server gave ("" where none)."""

    def __init__(self, message: str, *, code: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class NotAcceptedError(ListenError):
    """The server does not take what was sent: codec, rate, parameter or size."""


class NotAllowedError(ListenError):
    """This user may not record, or may not record now."""


class UnauthorizedError(ListenError):
    """The token is not valid (any more), and there is no other."""


class DeletedError(ListenError):
    """The conversation has been deleted; record into a new one."""


class ReplacedError(ListenError):
    """A newer session has taken the conversation over, or it is being merged."""


class UnreachableError(ListenError):
    """No socket could be opened for as long as the caller wanted to wait."""


class ProtocolError(ListenError):
    """The server said something that the protocol does not allow."""


class StorageError(TapedeckError):
    """The storage API answered with a problem (RFC 9457), or did not answer (status 0)."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        code: str = "",
        hint: str = "",
        title: str = "",
        detail: str = "",
        request_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.code = code
        """What programs decide by; "" where there is none."""
        self.title = title
        self.detail = detail
        self.request_id = request_id
        """For whoever runs the service: it is in the logs."""
        self.retry_after = retry_after
        """Seconds after which the server wants to be asked again; None where it did not say."""


class ClientSetupError(StorageError):
    """An address or a token that can't be used, or a client that is closed; nothing was sent."""


class StorageAwayError(StorageError):
    """No connection, or it broke, or took too long; what may be tried again has been."""


class UnexpectedAnswerError(StorageError):
    """What answered does not speak this API: another content type, garbage, a redirect."""


class BadRequestError(StorageError):
    """What was asked for can't be answered, now or later."""


class TokenRefusedError(StorageError):
    """The token is not valid (any more)."""


class ForbiddenError(StorageError):
    """The token may not do this."""


class NotFoundError(StorageError):
    """There is nothing of that name for this token."""


class ConflictError(StorageError):
    """It can't be done as things are: a merge holds the conversation, or nobody can store this dead letter."""


class ServerError(StorageError):
    """The service, or what stands before it, failed."""


class UnavailableError(ServerError):
    """Not now; `retry_after` says when, where the server did."""


class ChangedError(StorageError):
    """A broken download can't go on: what is there now differs from its beginning."""


class TargetFileError(StorageError):
    """A file can't be written, or another download writes it."""


class TooBigError(StorageError):
    """It is more than the caller wants to have in memory."""


class OperationFailedError(StorageError):
    """An operation is done, and failed: `code` and `detail` say of what. `operation` is as it ended."""

    def __init__(self, message: str, operation: "Operation", *, code: str = "", detail: str = "") -> None:
        super().__init__(message, code=code, detail=detail)
        self.operation = operation


class OperationPendingError(StorageError):
    """An operation was not done in the time given, and goes on. `operation` is as it was last seen; None where it never was."""

    def __init__(self, message: str, operation: "Operation | None") -> None:
        super().__init__(message, hint="it goes on; wait for it again")
        self.operation = operation


class TokenError(TapedeckError):
    """A token can't be minted or read."""


class SystemNotFoundError(TapedeckError):
    """There is no running system to be found."""


class AudioFileError(TapedeckError):
    """An audio file can't be read."""


class BucketError(TapedeckError):
    """The bucket can't be looked into."""


class OperatorError(TapedeckError):
    """An operator's command can't do what it was asked for, or did it in part."""


class RedisAwayError(OperatorError):
    """Redis can't be reached, or refuses."""


class UsageError(OperatorError):
    """What an operator's command was asked for makes no sense, whatever there is."""


class NoSuchThingError(OperatorError):
    """There is no such conversation or dead letter, as far as can be seen."""


class KeysError(TapedeckError):
    """The keys of sealed objects can't be read or made; never says what they are."""


class UpError(TapedeckError):
    """The stack can't be run."""


class AlreadyRunningError(UpError):
    """Another `up` holds the data directory."""


class PortTakenError(UpError):
    """A port belongs to somebody else."""


class RedisBinaryError(UpError):
    """There is no Redis server to run, or it is too old for the data."""
