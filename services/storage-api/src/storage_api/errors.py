"""What can go wrong in storage-api, as one tree. Refusals that a client sees are `servicekit.errors.ProblemError`.

    StorageApiError
    ├── SourceGoneError       audio is no longer where the timeline says: list again
    ├── LostError             (`cutting.place`) somebody else may replace objects of the conversation by now
    ├── UnreadableError       an object that cannot be read, with the reason
    ├── BrokenAnswerError     audio that was promised in the headers cannot be given: the answer must break off
    └── StalledClientError    a client that takes nothing of its answer any more

`retryable` says whether the same request may succeed later.
"""

import re
from typing import Final

REASONS: Final = ("no_key", "damaged", "not_a_batch", "too_large", "other")
"""Why an object cannot be read: a closed set, also the label of a metric.

`no_key`: sealed, and its key (or the secret of older objects) is not known here. `damaged`: it does not authenticate, is cut short, was
moved to another time, does not parse, or does not have the checksum it was stored with. `not_a_batch`: Ogg, but no batch of ours.
"""


class StorageApiError(Exception):
    """Everything that this package raises for itself."""

    retryable = False


class SourceGoneError(StorageApiError):
    """An object (or a buffer entry) was deleted, copied away or drained since it was listed."""

    retryable = True


class UnreadableError(StorageApiError):
    """An object whose bytes or facts do not parse, or that does not come as it was stored."""

    def __init__(self, name: str, reason: str, detail: str, *, passing: bool = False) -> None:
        super().__init__(f"{name}: {reason}: {detail}")
        self.name = name
        self.reason = reason
        """One of REASONS."""
        self.detail = detail
        self.passing = passing
        """Whether it may be the line and not the object."""


class BrokenAnswerError(StorageApiError):
    """The answer has begun, and what it promised cannot be had any more."""

    retryable = True


class StalledClientError(StorageApiError):
    """The client has not gone, and reads no more."""


_OWNER: Final = re.compile(r"(chunks|waveforms)/[^/\s]+/")


def log_text(error: BaseException | str) -> str:
    """The error's text as logs may have it: an object's name without the user's id in it."""
    return _OWNER.sub(r"\1/…/", str(error))
