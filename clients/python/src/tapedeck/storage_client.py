"""A client of the storage API: conversations, chunks, audio, flush.

Owns paging, and that a broken download goes on where it broke if the server allows it. Errors are translated here.

    async with StorageClient(url, token) as client:
        async for conversation in client.conversations(uid): …
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from tapedeck.addresses import is_loopback
from tapedeck.errors import ChangedError, NotFoundError, StorageError
from tapedeck.storage_types import (
    AudioFileFormat,
    Chunk,
    ChunkPage,
    Conversation,
    ConversationPage,
    Flushed,
    Gap,
    Problem,
)

TIMEOUT = httpx.Timeout(30.0, connect=10.0)
FLUSH_TIMEOUT_S = 45.0  # the server answers within 30 s
RESUMES = 8
"""So often in a row a download that broke is taken up again without a single byte in between."""

T = TypeVar("T", bound=msgspec.Struct)


@dataclass(slots=True)
class Download:
    """Audio on its way: facts that the server told, and the bytes."""

    headers: Mapping[str, str]
    offset: int
    """Of the first byte of `body` in the whole."""
    total_bytes: int | None
    """Of the whole; None where the server can't know it yet."""
    etag: str | None
    body: AsyncIterator[bytes]

    @property
    def missing(self) -> int:
        """How many objects could not be read."""
        value = self.headers.get("Tapedeck-Missing", "0")
        return int(value) if value.isdecimal() else 0


@dataclass(frozen=True, slots=True)
class AudioRequest:
    """What of a conversation's audio is wanted, and how. `start` and `end` are RFC 3339 or unix seconds."""

    format: AudioFileFormat = "ogg"
    start: str | None = None
    end: str | None = None
    fill_gaps: bool = True
    extra: Mapping[str, str] = field(default_factory=dict)

    def query(self) -> dict[str, str]:
        """The query parameters."""
        query = {"format": self.format, "fill_gaps": "true" if self.fill_gaps else "false", **self.extra}
        query |= {name: value for name, value in (("start", self.start), ("end", self.end)) if value}
        return query


class StorageClient:
    """A connection to one storage API with one token."""

    def __init__(self, url: str, token: str, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._url = url
        self._http = httpx.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=TIMEOUT,
            transport=transport,
            trust_env=not is_loopback(url),  # no proxy belongs in between on one machine
        )

    async def __aenter__(self) -> Self:
        """Nothing is connected yet."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def conversations(self, uid: str, *, page_size: int = 100) -> AsyncIterator[Conversation]:
        """All of a user's conversations, newest first."""
        page_token: str | None = None
        while True:
            page = await self._page(_user(uid) + "/conversations", ConversationPage, page_size, page_token)
            for conversation in page.conversations:
                yield conversation
            page_token = page.next_page_token
            if page_token is None:
                return

    async def conversation(self, uid: str, conversation_id: str) -> Conversation:
        """One of them; NotFoundError."""
        return self._decode(await self._request("GET", _path(uid, conversation_id)), Conversation)

    async def chunks(
        self, uid: str, conversation_id: str, *, page_size: int = 100
    ) -> AsyncIterator[Chunk | Gap]:
        """What a conversation consists of, page by page; the gaps of a page after its chunks."""
        page_token: str | None = None
        while True:
            path = _path(uid, conversation_id) + "/chunks"
            page = await self._page(path, ChunkPage, page_size, page_token)
            for chunk in page.chunks:
                yield chunk
            for gap in page.gaps:
                yield gap
            page_token = page.next_page_token
            if page_token is None:
                return

    async def flush(self, uid: str, conversation_id: str) -> float:
        """Store what waits, now: seconds stored. StorageError `flush_timeout` after 30 s, while it goes on."""
        path = _path(uid, conversation_id) + ":flush"
        answer = await self._request("POST", path, answer_s=FLUSH_TIMEOUT_S)
        return self._decode(answer, Flushed).stored_seconds

    async def download(
        self,
        uid: str,
        conversation_id: str,
        request: AudioRequest | None = None,
        *,
        offset: int = 0,
        etag: str | None = None,
    ) -> Download:
        """Begin a download; the body must be read to its end, or closed.

        With `offset` and `etag` an earlier one goes on: the answer's `offset` is 0 where the server sends it all again
        instead, because it changed or ranges are not allowed. A body that breaks is taken up by itself; ChangedError
        where that can't be.
        """
        query = (request if request is not None else AudioRequest()).query()
        path = _path(uid, conversation_id) + "/audio"
        headers = _range(offset, etag) if offset and etag else {}
        response = await self._open(path, query, headers)
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            await response.aclose()
            response = await self._open(path, query, {})
        began = _range_start(response)
        return Download(
            headers=response.headers,
            offset=began,
            total_bytes=_total(response),
            etag=_strong(response),
            body=self._body(response, path, query, began),
        )

    async def _body(
        self, response: httpx.Response, path: str, query: dict[str, str], position: int
    ) -> AsyncIterator[bytes]:
        etag = _strong(response)
        resumable = etag is not None and response.headers.get("Accept-Ranges") == "bytes"
        resumes = 0
        while True:
            try:
                async for part in response.aiter_bytes():
                    position += len(part)
                    resumes = 0
                    yield part
            except httpx.TransportError as error:
                if not resumable or etag is None or resumes >= RESUMES:
                    raise self._unreachable(error) from error
            else:
                return
            finally:
                await response.aclose()
            resumes += 1
            response = await self._open(path, query, _range(position, etag))
            if response.status_code != httpx.codes.PARTIAL_CONTENT or _range_start(response) != position:
                await response.aclose()
                raise ChangedError(
                    "the download broke, and the audio has changed since it began",
                    status=response.status_code,
                    hint="get it again from the start",
                )

    async def _open(self, path: str, query: dict[str, str], headers: dict[str, str]) -> httpx.Response:
        request = self._http.build_request("GET", path, params=query, headers=headers)
        try:
            response = await self._http.send(request, stream=True)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        if response.is_error and response.status_code != httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            await response.aread()
            raise self._problem(response)
        return response

    async def _page(self, path: str, kind: type[T], page_size: int, page_token: str | None) -> T:
        query = {"page_size": str(page_size)}
        if page_token is not None:
            query["page_token"] = page_token
        return self._decode(await self._request("GET", path, query), kind)

    async def _request(
        self, method: str, path: str, query: dict[str, str] | None = None, answer_s: float | None = None
    ) -> httpx.Response:
        try:
            response = await self._http.request(
                method, path, params=query, timeout=answer_s if answer_s is not None else TIMEOUT
            )
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        if response.is_error:
            raise self._problem(response)
        return response

    def _decode(self, response: httpx.Response, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(response.content, type=kind)
        except msgspec.MsgspecError as error:
            raise StorageError(
                f"{response.url} answered something else than a {kind.__name__}: {error}",
                status=response.status_code,
                hint="is this a storage API of this version?",
            ) from error

    def _problem(self, response: httpx.Response) -> StorageError:
        try:
            problem = msgspec.json.decode(response.content, type=Problem)
        except msgspec.MsgspecError:
            problem = Problem()  # a proxy's own page: the status says enough
        status = response.status_code
        text = problem.detail or problem.title or f"HTTP {status}"
        said = f" (request {problem.request_id})" if problem.request_id else ""
        kind = NotFoundError if status == httpx.codes.NOT_FOUND else StorageError
        return kind(f"{text}{said}", status=status, code=problem.code, hint=_HINTS.get(status, ""))

    def _unreachable(self, error: httpx.TransportError) -> StorageError:
        return StorageError(
            f"{self._url} does not answer: {str(error) or type(error).__name__}",
            hint="is it running? `tapedeck up` starts everything; --url or TAPEDECK_STORAGE_URL says where it is",
        )


_HINTS = {
    401: "give a valid token with --token or TAPEDECK_TOKEN (`tapedeck token` makes one in dev mode)",
    403: "this token may not do that",
    404: "`tapedeck ls` shows what there is (--user says whose)",
    503: "try again in a moment",
}


def _user(uid: str) -> str:
    return f"/v1/users/{quote(uid, safe='')}"


def _path(uid: str, conversation_id: str) -> str:
    return f"{_user(uid)}/conversations/{quote(conversation_id, safe='')}"


def _range(position: int, etag: str | None) -> dict[str, str]:
    """Go on from here, if it is still the same (RFC 9110 §13.1.5)."""
    return {"Range": f"bytes={position}-", **({"If-Range": etag} if etag else {})}


def _strong(response: httpx.Response) -> str | None:
    etag = response.headers.get("ETag")
    return etag if etag and not etag.startswith("W/") else None


def _range_start(response: httpx.Response) -> int:
    """Where the body lies in the whole: `Content-Range: bytes 5-9/10` (RFC 9110 §14.4)."""
    if response.status_code != httpx.codes.PARTIAL_CONTENT:
        return 0
    start = response.headers.get("Content-Range", "").removeprefix("bytes ").split("-")[0]
    return int(start) if start.isdecimal() else 0


def _total(response: httpx.Response) -> int | None:
    if response.status_code == httpx.codes.PARTIAL_CONTENT:
        total = response.headers.get("Content-Range", "").rpartition("/")[2]
    else:
        total = response.headers.get("Content-Length", "")
    return int(total) if total.isdecimal() else None
