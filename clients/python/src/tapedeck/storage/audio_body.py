"""Audio on its way: a body that is taken up again where it broke, and is never told as whole while a byte is missing. Plans only."""

from dataclasses import replace

import httpx

from tapedeck.errors import ChangedError, StorageAwayError, UnexpectedAnswerError
from tapedeck.storage.answers import check_content, where
from tapedeck.storage.audio import (
    MEDIA_TYPES,
    AudioFacts,
    Wanted,
    content_range,
    facts,
    total_bytes,
)
from tapedeck.storage.caller import Caller
from tapedeck.storage.plan import Drop, Opened, Pause, Plan, Take

PARTIAL = int(httpx.codes.PARTIAL_CONTENT)
BEYOND = int(httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE)


class AudioBody:
    """One download. `begin`, then `next_part` until None; `close` on each way out."""

    def __init__(self, caller: Caller, wanted: Wanted) -> None:
        self._caller = caller
        self._wanted = wanted
        self._opened: Opened | None = None
        self._facts: AudioFacts | None = None
        self._breaks = 0
        self._whole = False
        self.offset = 0
        """Where the first part lies in the whole."""
        self.position = 0
        """Bytes of the whole that have come, from its beginning."""

    @property
    def facts(self) -> AudioFacts:
        """Valid once it has begun."""
        if self._facts is None:
            raise RuntimeError("the download has not begun")
        return self._facts

    @property
    def resumable(self) -> bool:
        """Whether what broke could go on where it broke, as far as is known."""
        return self._facts is not None and self._facts.resumable

    def begin(self, offset: int = 0, etag: str | None = None) -> Plan[None]:
        """Wait for the head. With `offset` and `etag` an earlier download goes on; where that can't be, `offset` is 0 then.

        Where it had come to its end there is no part more. Raises StorageError.
        """
        headers = _range(offset, etag) if offset and etag else ()
        opened = yield from self._open(headers)
        if opened.response.status_code == BEYOND:
            yield Drop(opened)
            if total_bytes(opened.response) == offset and (yield from self._is_whole(offset, etag)):
                return
            headers = ()
            opened = yield from self._open(())
        self._opened = opened
        try:
            self._check(opened.response, offset if headers else 0, etag)
        except BaseException:
            yield from self.close()
            raise

    def next_part(self) -> Plan[bytes | None]:
        """The next part; None when all has come. Raises ChangedError where it broke and is another by now, and StorageError.

        RuntimeError where it has not begun, or was closed: what is asked for then is never told to be at its end.
        """
        if self._opened is None and not self._whole:
            raise RuntimeError("the download has not begun, or is closed")
        while self._opened is not None:
            try:
                part: bytes | None = yield Take(self._opened)
                if part is None:
                    self._check_whole(self._opened.response)
                    self._whole = True
                    yield from self.close()
                    return None
            except httpx.HTTPError as error:
                yield from self.close()
                yield from self._go_on(error)
                continue
            except BaseException:
                yield from self.close()
                raise
            if not part:
                continue
            self.position += len(part)
            self._breaks = 0
            total = self.facts.total_bytes
            if total is not None and self.position > total:
                yield from self.close()
                raise UnexpectedAnswerError(f"the answer is longer than the {total} bytes that it promised")
            return part
        return None

    def close(self) -> Plan[None]:
        """Nothing more is wanted; harmless twice."""
        if self._opened is not None:
            opened, self._opened = self._opened, None
            yield Drop(opened)

    def _go_on(self, broken: httpx.HTTPError) -> Plan[None]:
        """Open it again where it broke."""
        known = self.facts
        self._breaks += 1
        if not known.resumable or self._breaks > self._caller.retries.resumes:
            raise self._broken(broken) from broken
        yield Pause(self._caller.retries.pause_s(self._breaks, self._caller.dice()))
        opened = yield from self._open(_range(self.position, known.etag))
        self._opened = opened
        try:
            self._check(opened.response, self.position, known.etag)
        except BaseException:
            yield from self.close()
            raise

    def _is_whole(self, offset: int, etag: str | None) -> Plan[bool]:
        """Whether so many bytes are all of what has this ETag, as its head says; what is known of it then."""
        opened = yield from self._caller.open_surely(self._wanted.request("HEAD"))
        yield Drop(opened)
        check_content(opened.response, MEDIA_TYPES[self._wanted.audio.format])
        told = facts(opened.response)
        if told.etag != etag or told.total_bytes not in (None, offset):
            return False
        self._facts = replace(told, total_bytes=offset)
        self.offset = self.position = offset
        self._whole = True
        return True

    def _open(self, headers: tuple[tuple[str, str], ...]) -> Plan[Opened]:
        request = self._wanted.request("GET", headers)
        return (yield from self._caller.open_surely(request, (BEYOND,) if headers else ()))

    def _check(self, response: httpx.Response, asked_offset: int, etag: str | None) -> None:
        """Note what the head tells, and refuse what does not fit together."""
        going_on = self._facts is not None
        if going_on and response.status_code != PARTIAL:
            raise _changed(response)
        check_content(response, MEDIA_TYPES[self._wanted.audio.format])
        told, began = facts(response), _offset(response)
        if began != asked_offset and response.status_code == PARTIAL:
            raise UnexpectedAnswerError(
                f"{where(response)} answered another range than it was asked for", status=PARTIAL
            )
        if began and told.etag not in (None, etag):
            raise _changed(response)
        if self._facts is None:
            self.offset = self.position = began
            self._facts = told
        elif self._facts.total_bytes is None:
            self._facts = replace(self._facts, total_bytes=told.total_bytes)
        elif told.total_bytes not in (None, self._facts.total_bytes):
            raise _changed(response)

    def _check_whole(self, response: httpx.Response) -> None:
        """Raises httpx.RemoteProtocolError: the end of the line is not the end of the audio."""
        total = self.facts.total_bytes
        if total is not None and self.position != total:
            raise httpx.RemoteProtocolError(
                f"the line ended after {self.position} of {total} bytes", request=response.request
            )
        chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()
        if total is None and not chunked and response.http_version.startswith("HTTP/1"):
            raise httpx.RemoteProtocolError(
                "the answer has neither a length nor an end of its own", request=response.request
            )

    def _broken(self, error: httpx.HTTPError) -> StorageAwayError:
        text = self._caller.without_token(str(error)) or type(error).__name__
        why = "" if self.facts.resumable else "; it can't be taken up where it broke"
        return StorageAwayError(
            f"{self._caller.base_url} does not answer any more, after {self.position} bytes: {text}{why}",
            hint="get it again",
        )


class BodyOfStream:
    """What the streams of both clients tell of their audio."""

    _body: AudioBody

    @property
    def facts(self) -> AudioFacts:
        """What the head told."""
        return self._body.facts

    @property
    def offset(self) -> int:
        """Where the first part lies in the whole."""
        return self._body.offset

    @property
    def position(self) -> int:
        """Bytes of the whole that have come, from its beginning."""
        return self._body.position


def _changed(response: httpx.Response) -> ChangedError:
    return ChangedError(
        "the download broke, and the audio has changed since it began",
        status=response.status_code,
        hint="get it again from the start",
    )


def _offset(response: httpx.Response) -> int:
    """Where the body begins in the whole. Raises UnexpectedAnswerError."""
    if response.status_code != PARTIAL:
        return 0
    part = content_range(response)
    if part is None:
        raise UnexpectedAnswerError(f"{where(response)} does not say which range it answers", status=PARTIAL)
    return part[0]


def _range(position: int, etag: str | None) -> tuple[tuple[str, str], ...]:
    """Go on from here, if it is still the same (RFC 9110 §13.1.5)."""
    return (("Range", f"bytes={position}-"), *((("If-Range", etag),) if etag else ()))
