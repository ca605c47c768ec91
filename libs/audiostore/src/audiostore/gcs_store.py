"""`gs://`: Google Cloud Storage through google-cloud-storage, in a thread pool of its own.

Owns the calls. Every put and copy is create-only (`if_generation_match=0`), sends or knows a CRC32C and compares it with the
answer's, and where they differ with the bytes that lie there; a "taken" that follows one's own lost reply is compared before it is called a conflict. What seems
to be damaged is never removed here: somebody else may have seen that it is whole, and rely on it. How the library connects, retries and fails
stands in `gcs_client`.
"""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING, Any, TypeAlias

import google_crc32c
from google.api_core.exceptions import RequestRangeNotSatisfiable

from audiostore.attempts import PATIENCE
from audiostore.errors import AlreadyExistsError, ChecksumError, NotFoundError, TransientStoreError
from audiostore.gcs_client import CONNECTIONS, TIMEOUT, Attempts, connect, translated
from audiostore.gcs_listing import Listing, crc32c_of
from audiostore.store import (
    PAGE_OBJECTS,
    ObjectInfo,
    check_metadata,
    check_name,
    check_prefix,
    check_range,
    check_size,
)
from audiostore.threads import Threads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from google.api_core.page_iterator import HTTPIterator
    from google.cloud.storage import Blob

    from audiostore.attempts import Patience

Page: TypeAlias = list[ObjectInfo]
Folders: TypeAlias = list[str]


class GcsStore:
    """Objects in `bucket`, their names after `prefix` (empty, or ending with a slash). Implements Store.

    Raises StoreConfigurationError where there are no credentials.
    """

    lists_from_anywhere = True

    def __init__(self, bucket: str, prefix: str = "", patience: Patience = PATIENCE) -> None:
        self._client = connect()
        self._bucket = self._client.bucket(bucket)
        self._prefix = prefix
        self._url = f"gs://{bucket}/{prefix}"
        self._patience = patience
        self._threads = Threads("gcs", CONNECTIONS, patience.deadline_s)

    async def put(
        self, name: str, data: bytes, *, content_type: str, metadata: Mapping[str, str]
    ) -> ObjectInfo:
        """See Store."""
        check_name(name)
        check_size(name, len(data))
        kept = check_metadata(metadata)
        return await self._threads.run(f"put {name}", self._put, name, data, content_type, kept)

    async def get(self, name: str) -> bytes:
        """See Store."""
        return await self._threads.run(f"get {name}", self._get, check_name(name))

    async def get_range(self, name: str, start: int, end: int) -> bytes:
        """See Store."""
        check_range(name, start, end)
        return await self._threads.run(f"get {name}", self._get_range, check_name(name), start, end)

    async def head(self, name: str) -> ObjectInfo:
        """See Store."""
        return await self._threads.run(f"look at {name}", self._head, check_name(name))

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[ObjectInfo]:
        """See Store."""
        check_prefix(prefix)
        listing = Listing(self._bucket.name, self._prefix, prefix, after)
        while (
            page := await self._threads.run(f"list {prefix}", self._next_page, listing, prefix)
        ) is not None:
            for info in page:
                yield info

    async def list_folders(self, prefix: str) -> AsyncIterator[str]:
        """See Store."""
        check_prefix(prefix)
        blobs = self._client.list_blobs(
            self._bucket, prefix=self._prefix + prefix, delimiter="/", page_size=PAGE_OBJECTS,
            fields="prefixes,nextPageToken", timeout=TIMEOUT, retry=self._attempts(),
        )  # fmt: skip
        pages = _pages(blobs, f"list {self._url}{prefix}")
        while (
            folders := await self._threads.run(f"list {prefix}", self._next_folders, pages, prefix)
        ) is not None:
            for folder in folders:
                yield folder

    async def copy(self, source: str, target: str) -> ObjectInfo:
        """See Store."""
        check_name(source)
        check_name(target)
        return await self._threads.run(f"copy {source} to {target}", self._copy, source, target)

    async def delete(self, name: str) -> None:
        """See Store."""
        await self._threads.run(f"delete {name}", self._delete, check_name(name))

    async def close(self) -> None:
        """See Store."""
        await self._threads.close()
        self._client.close()

    # What follows blocks, and runs in the pool.

    def _put(self, name: str, data: bytes, content_type: str, metadata: dict[str, str]) -> ObjectInfo:
        sent = ObjectInfo(name, len(data), google_crc32c.value(data), metadata)
        doing = f"put {self._url}{name}"
        attempts = self._attempts()
        blob = self._blob(name)
        blob.metadata = metadata
        try:
            with translated(doing, missing="bucket"):
                blob.upload_from_string(
                    data,
                    content_type=content_type,
                    if_generation_match=0,
                    checksum="crc32c",
                    timeout=TIMEOUT,
                    retry=attempts,
                )
        except AlreadyExistsError:
            if attempts.repeated and _same(self._head(name), sent):
                return sent
            raise
        return self._confirmed(doing, blob, sent)

    def _copy(self, source: str, target: str) -> ObjectInfo:
        of_source = self._head(source)
        wanted = ObjectInfo(target, of_source.size, of_source.crc32c, of_source.metadata)
        doing = f"copy {self._url}{source} to {target}"
        # The precondition below is what holds. fake-gcs-server (1.56) ignores it for rewrites, so a look comes first.
        with suppress(NotFoundError):
            self._head(target)
            raise AlreadyExistsError(f"{doing}: the name is taken")
        attempts = self._attempts()
        blob = self._blob(target)
        token: str | None = None
        try:
            while True:  # a large object takes several calls, each with the token of the one before
                with translated(doing, missing="object"):
                    token, _done, _size = blob.rewrite(
                        self._blob(source),
                        token=token,
                        if_generation_match=0,
                        timeout=TIMEOUT,
                        retry=attempts,
                    )
                if token is None:
                    return self._confirmed(doing, blob, wanted)
        except AlreadyExistsError:
            if attempts.repeated and _same(self._head(target), wanted):
                return wanted
            raise

    def _confirmed(self, doing: str, blob: Blob, wanted: ObjectInfo) -> ObjectInfo:
        """`wanted`, if just this lies in the bucket now. Raises ChecksumError where it seems to be something else: it stays.

        An answer that says otherwise is not believed: the bytes themselves are fetched. Nor are these reason enough to take the object away, for
        they may have been spoilt on their way, and somebody else may have found it by now, and rely on it.
        """
        try:
            with translated(doing, missing="object"):
                if blob.size == wanted.size and crc32c_of(blob.crc32c) == wanted.crc32c:
                    return wanted
                there = blob.download_as_bytes(
                    raw_download=True, checksum=None, timeout=TIMEOUT, retry=self._attempts()
                )
        except NotFoundError as error:
            raise TransientStoreError(f"{doing}: it was there, and is gone again") from error
        if (len(there), google_crc32c.value(there)) == (wanted.size, wanted.crc32c):
            return wanted
        raise ChecksumError(f"{doing}: what lies there differs from what was sent, and stays; try again")

    def _get(self, name: str) -> bytes:
        whole = _Limited(name)
        with translated(f"get {self._url}{name}", missing="object"):
            self._blob(name).download_to_file(
                whole, raw_download=True, checksum="crc32c", timeout=TIMEOUT, retry=self._attempts()
            )
        return whole.getvalue()

    def _get_range(self, name: str, start: int, end: int) -> bytes:
        with translated(f"get a range of {self._url}{name}", missing="object"):
            try:
                data = self._blob(name).download_as_bytes(
                    start=start,
                    end=end - 1,
                    raw_download=True,
                    checksum=None,
                    timeout=TIMEOUT,
                    retry=self._attempts(),
                )
            except RequestRangeNotSatisfiable:  # it ends before `start`
                return b""
        return bytes(data)

    def _head(self, name: str) -> ObjectInfo:
        blob = self._blob(name)
        with translated(f"look at {self._url}{name}", missing="object"):
            blob.reload(timeout=TIMEOUT, retry=self._attempts())
            return self._info(blob)

    def _delete(self, name: str) -> None:
        doing = f"delete {self._url}{name}"
        try:
            with translated(doing, missing="object"):
                self._blob(name).delete(timeout=TIMEOUT, retry=self._attempts())
        except NotFoundError:
            # A bucket that is not to be seen for now is answered with the same 404, and the object comes back with it. A listing tells.
            if self._is_listed(doing, name):
                raise TransientStoreError(
                    f"{doing}: the bucket says that it is not there, and lists it"
                ) from None

    def _is_listed(self, doing: str, name: str) -> bool:
        """Whether a listing has it. Raises StoreConfigurationError where there is no such bucket."""
        with translated(doing, missing="bucket"):
            found = self._client.list_blobs(
                self._bucket, prefix=self._prefix + name, max_results=1, fields="items(name)", timeout=TIMEOUT, retry=self._attempts()
            )  # fmt: skip
            return any(blob.name == self._prefix + name for blob in found)

    def _next_page(self, listing: Listing, prefix: str) -> Page | None:
        with translated(f"list {self._url}{prefix}", missing="bucket"):
            return listing.page(self._client, self._attempts())

    def _next_folders(self, pages: Iterator[Any], prefix: str) -> Folders | None:
        with translated(f"list {self._url}{prefix}", missing="bucket"):
            page = next(pages, None)
            if page is None:
                return None
            return sorted(folder.removeprefix(self._prefix) for folder in page.prefixes)

    def _attempts(self) -> Attempts:
        return Attempts(self._patience)

    def _blob(self, name: str) -> Blob:
        return self._bucket.blob(self._prefix + name)

    def _info(self, blob: Blob) -> ObjectInfo:
        if blob.size is None:
            raise TransientStoreError(f"look at {blob.name}: the bucket's answer names no size")
        return ObjectInfo(
            blob.name.removeprefix(self._prefix), blob.size, crc32c_of(blob.crc32c), dict(blob.metadata or {})
        )


def _pages(blobs: HTTPIterator, doing: str) -> Iterator[Any]:
    """The pages of a listing. One that leads to a page that was there before would never end: TransientStoreError."""
    seen: set[str] = set()
    for page in blobs.pages:
        yield page
        if blobs.next_page_token in seen:
            raise TransientStoreError(
                f"{doing}: the bucket names a page that was read before as the next one"
            )
        if blobs.next_page_token is not None:
            seen.add(blobs.next_page_token)


class _Limited(BytesIO):
    """Takes what is downloaded, up to MAX_OBJECT_BYTES. Raises TooLargeError."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def write(self, data: Any, /) -> int:
        check_size(self._name, self.tell() + len(data))
        return super().write(data)


def _same(there: ObjectInfo, sent: ObjectInfo) -> bool:
    """What lies there is what was sent: bytes (size and CRC32C) and metadata."""
    return (there.size, there.crc32c, there.metadata) == (sent.size, sent.crc32c, sent.metadata)
