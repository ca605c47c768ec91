"""Answers of the storage API: a whole one as a value, and each that is none as the error that it means. Pure."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

from tapedeck.errors import (
    BadRequestError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    ServerError,
    StorageError,
    TokenRefusedError,
    UnavailableError,
    UnexpectedAnswerError,
)
from tapedeck.storage.remedies import remedy
from tapedeck.storage.retries import retry_after_s
from tapedeck.storage_types import Problem

T = TypeVar("T", bound=msgspec.Struct)

MAX_JSON_BYTES = 64 * 1024 * 1024
"""The longest answer in JSON that is read: a waveform of a day at the finest is far below."""
MAX_PROBLEM_BYTES = 64 * 1024
"""Of an error's body more is not looked at."""

_KINDS: Mapping[int, type[StorageError]] = {
    401: TokenRefusedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    429: UnavailableError,
    503: UnavailableError,
    504: UnavailableError,
}


def decoded(response: httpx.Response, body: bytes, kind: type[T]) -> T:
    """The struct that the JSON is. Raises UnexpectedAnswerError."""
    check_content(response, "application/json")
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise UnexpectedAnswerError(
            f"{where(response)} answered something else than a {kind.__name__}: {error}",
            status=response.status_code,
            hint="is this a storage API of this version?",
        ) from error


def check_content(response: httpx.Response, wanted: str) -> None:
    """Raises UnexpectedAnswerError where the body is of another media type, or was packed on its way."""
    found = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    packed = response.headers.get("Content-Encoding", "identity").strip().lower()
    if found == wanted and packed in ("", "identity"):
        return
    what = f"{found!r}" if found != wanted else f"{packed!r}-packed bytes"
    raise UnexpectedAnswerError(
        f"{where(response)} answered with {what}, not with {wanted}",
        status=response.status_code,
        hint="is this the storage API, or a page of something in between?",
    )


def problem(response: httpx.Response, body: bytes) -> StorageError:
    """The error that an answer is which is no success."""
    status = response.status_code
    if response.is_redirect or not response.is_error:
        return _strange(response)
    try:
        said = msgspec.json.decode(body, type=Problem)
    except msgspec.MsgspecError:
        said = Problem()  # a proxy's own page: the status says enough
    text = said.detail or said.title or f"HTTP {status}"
    request = f" (request {said.request_id})" if said.request_id else ""
    kind = _KINDS.get(status, ServerError if status >= HTTPStatus.INTERNAL_SERVER_ERROR else BadRequestError)
    return kind(
        f"{text}{request}",
        status=status,
        code=said.code,
        hint=remedy(said.code, status),
        title=said.title,
        detail=said.detail,
        request_id=said.request_id,
        retry_after=retry_after_s(response),
    )


def where(response: httpx.Response) -> str:
    """The address without its query."""
    url = response.request.url
    return f"{url.scheme}://{url.netloc.decode('ascii', 'replace')}{url.path}"


def _strange(response: httpx.Response) -> StorageError:
    """A redirect, which is never followed (the token is for this address alone), or a status that means nothing here."""
    status = response.status_code
    to = ""
    if response.is_redirect:
        try:
            parts = urlsplit(response.headers.get("Location", ""))
            to = f" to {parts.scheme}://{parts.hostname}" if parts.hostname else " to another path"
        except ValueError:
            to = " to what is no address"
    return UnexpectedAnswerError(
        f"{where(response)} answered HTTP {status}{', a redirect' if to else ''}{to}",
        status=status,
        hint="redirects are not followed: give the address itself" if to else "is this the storage API?",
    )
