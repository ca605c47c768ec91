"""The caller: carries calls out against one address with one token, and decides what is tried again. Plans only, no I/O.

Owns the token: it goes into the header of a request to this address and nowhere else, and is cut out of every text that is raised.
"""

import random
from collections import deque
from collections.abc import Callable
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

import httpx

from tapedeck.errors import ClientSetupError, StorageAwayError, StorageError, UnexpectedAnswerError
from tapedeck.listen_options import Token
from tapedeck.storage import answers
from tapedeck.storage.calls import Call
from tapedeck.storage.plan import Drop, Opened, Pause, Plan, Request, Send, Take, clock_s
from tapedeck.storage.retries import COME_BACK, UNSENT, Again, Retries, Tries

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

JSON_S = 300.0
"""So long an answer in JSON may take from its head to its end: a server that sends a byte now and then is not waited for."""
SHORTEST_SECRET = 8
"""A shorter token is none of a real system, and may be part of any word."""
_TOLD_TWICE = "it may be gone by an earlier try of this very call, whose answer was lost"


class Job(Protocol[T_co]):
    """What can be carried out."""

    def plan(self, caller: "Caller") -> Plan[T_co]:
        """How."""


class Caller:
    """One address, one token, and the patience of a client."""

    def __init__(
        self, base_url: str, token: Token, retries: Retries, dice: Callable[[], float] = random.random
    ) -> None:
        """Raises ClientSetupError for an address or a token that can't be used. `token`: a function is asked before every request."""
        self.base_url = checked_address(base_url)
        self.retries = retries
        self.dice = dice
        self._token = token
        self._shown: deque[str] = deque(maxlen=8)  # the newest tokens that went out, to be cut out of texts
        if isinstance(token, str):
            self.authorization()

    def authorization(self) -> str:
        """The header's value. Raises ClientSetupError, which does not name the token."""
        token = self._token() if callable(self._token) else self._token
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise ClientSetupError(
                "the token can't be sent: it is empty, or has spaces, line breaks or other characters that tokens have not"
            )
        if token not in self._shown:
            self._shown.append(token)
        return f"Bearer {token}"

    def carry_out(self, call: Call[T], retries: Retries | None = None) -> Plan[T]:
        """The call's answer, tried again where that is safe, as `retries` or the client's own say. Raises StorageError."""
        tries, lost = Tries(retries or self.retries, self.dice), False
        while True:
            try:
                opened = yield from self.open(call.request, call.again, tries)
                try:
                    body = yield from _whole(opened)
                finally:
                    yield Drop(opened)
                return call.read(opened.response, body)
            except StorageError as error:
                if lost and error.status == httpx.codes.NOT_FOUND and call.request.method == "DELETE":
                    error.hint = _TOLD_TWICE
                raise
            except httpx.HTTPError as error:
                pause_s = tries.pause_s() if call.again == "always" else None
                if pause_s is None:
                    raise self.away(error) from error
                lost = True
            yield Pause(pause_s)

    def open(
        self, request: Request, again: Again, tries: Tries, accept: tuple[int, ...] = ()
    ) -> Plan[Opened]:
        """The head of a success, or of a status in `accept`; what was refused or never left is tried again.

        Raises StorageError; httpx.HTTPError where the request went out and no answer came.
        """
        while True:
            try:
                opened: Opened = yield Send(request)
            except UNSENT as error:
                pause_s = tries.pause_s()
                if pause_s is None:
                    raise self.away(error) from error
            else:
                status = opened.response.status_code
                if opened.response.is_success or status in accept:
                    return opened
                problem = yield from self._problem(opened)
                come_back = status in COME_BACK and again != "unsent"
                now_s = yield from clock_s()
                pause_s = tries.refused_pause_s(problem.retry_after, now_s) if come_back else None
                if pause_s is None:
                    raise problem
            yield Pause(pause_s)

    def open_surely(self, request: Request, accept: tuple[int, ...] = ()) -> Plan[Opened]:
        """As `open`, for what changes nothing: tried again as well where no answer came. Raises StorageError."""
        tries = Tries(self.retries, self.dice)
        while True:
            try:
                return (yield from self.open(request, "always", tries, accept))
            except httpx.HTTPError as error:
                pause_s = tries.pause_s()
                if pause_s is None:
                    raise self.away(error) from error
            yield Pause(pause_s)

    def away(self, error: httpx.HTTPError) -> StorageError:
        """What a line that failed means; never the error's own text where that could hold what was sent."""
        if isinstance(error, httpx.DecodingError):
            return UnexpectedAnswerError(f"{self.base_url} answered what can't be unpacked")
        if isinstance(error, httpx.TimeoutException):
            text = "it takes too long"
        else:
            text = self.without_token(str(error)) or type(error).__name__
        return StorageAwayError(
            f"{self.base_url} does not answer: {text}",
            hint="is it running? `tapedeck up` starts everything; --url or TAPEDECK_STORAGE_URL says where it is",
        )

    def without_token(self, text: str) -> str:
        """The text with dots where the token was."""
        for token in tuple(self._shown):
            if len(token) >= SHORTEST_SECRET:
                text = text.replace(token, "…")
        return text

    def _problem(self, opened: Opened) -> Plan[StorageError]:
        body = bytearray()
        try:
            while len(body) < answers.MAX_PROBLEM_BYTES:
                part = yield Take(opened)
                if part is None:
                    break
                body += part
        except httpx.HTTPError:
            body.clear()  # the status says enough
        finally:
            yield Drop(opened)
        clean = self.without_token(bytes(body).decode("utf-8", "replace")).encode()
        return answers.problem(opened.response, clean)


def _whole(opened: Opened) -> Plan[bytes]:
    """The whole body of an answer in JSON. Raises UnexpectedAnswerError, httpx.HTTPError."""
    response = opened.response
    answers.check_content(response, "application/json")
    began_s = yield from clock_s()
    body = bytearray()
    while True:
        part = yield Take(opened)
        if part is None:
            break
        body += part
        if len(body) > answers.MAX_JSON_BYTES:
            raise UnexpectedAnswerError(
                f"{answers.where(response)} answers without end", status=response.status_code
            )
        if (yield from clock_s()) - began_s > JSON_S:
            raise httpx.ReadTimeout("the answer does not end", request=response.request)
    length = response.headers.get("Content-Length", "")
    if length.isdecimal() and int(length) != len(body):
        raise httpx.RemoteProtocolError("the answer was cut off", request=response.request)
    return bytes(body)


def checked_address(base_url: str) -> str:
    """The address without a slash at its end. Raises ClientSetupError."""
    try:
        parts = urlsplit(base_url)
        _ = parts.port
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        bare = not (parts.username or parts.password or parts.query or parts.fragment)
        httpx.URL(base_url)
    except (ValueError, httpx.InvalidURL):
        usable, bare = False, True
    if usable and bare:
        return base_url.rstrip("/")
    hint = "like https://tapedeck.example.com, without user, query or fragment"
    shown = base_url if bare else "an address with more in it than scheme, host, port and path"
    raise ClientSetupError(f"{shown!r} is no address of a storage API", hint=hint)
