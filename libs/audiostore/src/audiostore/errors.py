"""Every error of audiostore, in one tree.

AudiostoreError
├── StoreError                     a bucket operation failed
│   ├── BadNameError               a name or metadata that no store may be given
│   ├── AlreadyExistsError         create-only: the name holds an object already
│   ├── NotFoundError              no object of that name
│   ├── TooLargeError              the object is larger than what is read in one piece
│   ├── ChecksumError              bytes or checksum differ from what was sent or stored
│   ├── TransientStoreError        the store is away, slow, full or asks for patience
│   └── StoreConfigurationError    an operator has to act: address, bucket, permission, file system
├── BatchFormatError               bytes, tags or metadata that are no batch, or spans that cannot be one
├── LegacyFormatError              bytes that are none of the older formats, damaged, or sealed with another secret
├── SealError                      a file cannot be sealed or opened
│   ├── UnknownKeyError            it was sealed with a key that the ring does not have
│   └── TamperedError              it is not what was sealed for this user: changed, cut short, rearranged, or no sealed file
└── KeyRingError                   a text or file is no key ring, or no key is there to seal with

`retryable` says whether the same call can succeed later without anybody's doing. This module must not import anything: errors
of libraries are translated where the library is called.
"""

from __future__ import annotations


class AudiostoreError(Exception):
    """What every error here is.

    `retryable` is true where the same call may succeed later without anybody's doing.
    """

    retryable: bool = False


class StoreError(AudiostoreError):
    """An operation on the store failed; the text says which, on what, why, and what to do."""

    def __init__(self, message: str, *, retryable: bool | None = None) -> None:
        super().__init__(message)
        if retryable is not None:
            self.retryable = retryable


class BadNameError(StoreError):
    """An object name, prefix or metadata that no store accepts: nothing was sent."""


class AlreadyExistsError(StoreError):
    """The name is taken. What lies there may hold the same runs: the caller looks (`head`, `batch_facts`)."""


class NotFoundError(StoreError):
    """There is no such object (any more): a reader lists again."""


class TooLargeError(StoreError):
    """The object is larger than `MAX_OBJECT_BYTES`; `get_range` still reads it piece by piece."""


class ChecksumError(StoreError):
    """What was stored or read is not what was sent or stored: a broken transfer, so another try may do."""

    retryable = True


class TransientStoreError(StoreError):
    """The store is away, overloaded, full or too slow: try again later.

    `slow`: it took the connection and was silent for too long. Else it cannot be reached, or says itself that it cannot serve.
    """

    retryable = True

    def __init__(self, message: str, *, slow: bool = False) -> None:
        super().__init__(message)
        self.slow = slow


class StoreConfigurationError(StoreError):
    """The store cannot work as it is set up; trying again changes nothing until an operator acts."""


class BatchFormatError(AudiostoreError):
    """Bytes, tags or metadata are no batch, or spans cannot share one file; names the structure and the defect."""


class LegacyFormatError(AudiostoreError):
    """An object in one of the older formats cannot be read; names the structure and the defect, never what stands there."""


class SealError(AudiostoreError):
    """A file cannot be sealed or opened; the text never has key material or plaintext in it."""


class UnknownKeyError(SealError):
    """The ring has no key of this id (`key_id`): an operator has to add it, and what it sealed opens again."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"sealed file: sealed with the key {key_id!r}, which is not in the key ring")
        self.key_id = key_id


class TamperedError(SealError):
    """The bytes are not what was sealed for this user: names the structure and the defect. Trying again changes nothing."""


class KeyRingError(AudiostoreError):
    """A text or file is no key ring, or none of its keys can be used; names the entry by its number, never what stands there."""
