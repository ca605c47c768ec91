"""obstore's errors in, StoreErrors out.

Owns what the answers of S3 and Azure mean to a caller. obstore tells an answer's status and code only in its text, so they are read
from there; the text itself goes nowhere: it quotes requests and answers, in which signatures and session tokens may stand. That is also why
nothing here is raised `from` the library's error.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from obstore.exceptions import AlreadyExistsError as TakenError
from obstore.exceptions import BaseError, UnauthenticatedError

from audiostore.errors import (
    AlreadyExistsError,
    ChecksumError,
    NotFoundError,
    StoreConfigurationError,
    StoreError,
    TransientStoreError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

Missing = Literal["object", "bucket"]

_STATUS = re.compile(r"(?:non-2xx status code: |\(code: )([1-5][0-9][0-9])\b")
_CODE = re.compile(r"<Code>([A-Za-z0-9]{1,80})</Code>")
_KIND = re.compile(r"kind: ([A-Z][A-Za-z]{1,30})\b")

_NO_BUCKET = frozenset({"NoSuchBucket", "ContainerNotFound", "ContainerBeingDeleted", "ContainerDisabled"})
_NO_OBJECT = frozenset({"", "NoSuchKey", "BlobNotFound", "NoSuchVersion", "CannotVerifyCopySource"})
_TAKEN = frozenset({"BlobAlreadyExists", "PreconditionFailed", "ConditionNotMet", "UnmodifiedSince"})
_BROKEN_ON_THE_WAY = frozenset(
    {"BadDigest", "InvalidDigest", "Md5Mismatch", "Crc64Mismatch", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"}
)  # fmt: skip
# Another write of the same name was under way (409), a connection broke while the body was read (400), or a token ran out and is fetched anew.
_LATER = frozenset(
    {"ConditionalRequestConflict", "OperationAborted", "PendingCopyOperation", "RequestTimeout", "IncompleteBody", "ExpiredToken", "SlowDown",
     "InternalError", "ServerBusy", "ServiceUnavailable", "OperationTimedOut", "TooManyRequests"}
)  # fmt: skip
_LATER_STATUS = frozenset({408, 429, 500, 502, 503, 504})


@contextmanager
def translated(doing: str, *, missing: Missing, refused: str) -> Iterator[None]:
    """The library's errors in, StoreErrors out.

    `missing` says what a 404 without a reason means here. `refused` says what an operator does where the credentials are refused.
    """
    try:
        yield
    except (BaseError, FileNotFoundError) as error:
        raise store_error(error, doing, missing, refused) from None  # see the module's docstring


def store_error(error: Exception, doing: str, missing: Missing, refused: str) -> StoreError:  # noqa: PLR0911 — a line for each meaning
    """What the library's error means; the text says operation, object, status and code of the answer, and what to do."""
    text = str(error)
    status, code = _status(text), _code(text)
    if status is None and not code:
        return _without_answer(error, text, doing, missing)
    answer = f"{doing}: the store answered {status or ''} {code}".rstrip()
    if code in _BROKEN_ON_THE_WAY:
        return ChecksumError(f"{answer}: what arrived there is not what was sent; try again")
    if code in _LATER or status in _LATER_STATUS:
        return TransientStoreError(answer)
    if code in _NO_BUCKET:
        return _no_bucket(doing)
    if status == 404:
        return _not_found(doing, answer, code, missing, refused)
    if isinstance(error, TakenError) or code in _TAKEN:
        return AlreadyExistsError(f"{doing}: the name is taken")
    if status in {401, 403}:
        return StoreConfigurationError(f"{answer}; {refused}")
    if status in {301, 307, 400, 501}:
        return StoreConfigurationError(f"{answer}; look at bucket, region, endpoint and credentials")
    return StoreError(answer)


def beyond_the_end(error: Exception) -> bool:
    """Whether a range may have begun behind the end of the object (Azurite names a range of its own for an empty one)."""
    text = str(error)
    return _status(text) == 416 or "Wanted range starting at" in text or "CONTENT_RANGE" in text


def _without_answer(error: Exception, text: str, doing: str, missing: Missing) -> StoreError:  # noqa: PLR0911 — a line for each meaning
    if isinstance(error, FileNotFoundError):
        return NotFoundError(f"{doing}: no such object") if missing == "object" else _no_bucket(doing)
    if isinstance(error, TakenError):
        return AlreadyExistsError(f"{doing}: the name is taken")
    if "Received redirect without LOCATION" in text:
        return StoreConfigurationError(f"{doing}: the bucket is in another region; correct AWS_REGION")
    if "certificate" in text:
        return StoreConfigurationError(
            f"{doing}: the store's certificate is not trusted; add its authority to the system's"
        )
    if "http://169.254." in text:  # where virtual machines get their credentials
        return TransientStoreError(
            f"{doing}: no credentials came from this machine's metadata service; if it has none, set a key (docs/stores.md)"
        )
    if isinstance(error, UnauthenticatedError):
        return StoreConfigurationError(
            f"{doing}: no usable credentials (docs/stores.md says which are looked for)"
        )
    if "HTTP error" in text or "Http(" in text or "HttpError" in text:
        kind = _KIND.search(text)
        # A connection that does not come about in time is called so too.
        slow = kind is not None and kind[1] == "Timeout" and "ConnectError(" not in text
        cannot = f"the store cannot be reached{f' ({kind[1]})' if kind else ''}"
        return TransientStoreError(f"{doing}: {cannot}", slow=slow)
    return StoreError(
        f"{doing}: obstore failed ({type(error).__name__}); the answer was none that it understands"
    )


def _not_found(doing: str, answer: str, code: str, missing: Missing, refused: str) -> StoreError:
    if code not in _NO_OBJECT:
        return StoreConfigurationError(f"{answer}; {refused}")
    return NotFoundError(f"{doing}: no such object") if missing == "object" else _no_bucket(doing)


def _no_bucket(doing: str) -> StoreConfigurationError:
    return StoreConfigurationError(
        f"{doing}: there is no such bucket, or it is not to be seen; create it or correct TAPEDECK_STORE_URL"
    )


def _status(text: str) -> int | None:
    found = _STATUS.search(text)
    return int(found[1]) if found else None


def _code(text: str) -> str:
    found = _CODE.search(text)
    return found[1] if found else ""
