"""Names under a prefix, page by page, from Google's JSON API.

Owns what is asked for, and what an answer must be. Not by the library's own iterator: that makes an object with a dozen parts of each name, five
times what the answer takes to read.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import msgspec

from audiostore.errors import TransientStoreError
from audiostore.gcs_client import TIMEOUT
from audiostore.store import PAGE_OBJECTS, ObjectInfo

if TYPE_CHECKING:
    from google.cloud.storage import Client

    from audiostore.gcs_client import Attempts

_FIELDS = "items(name,size,crc32c,metadata),nextPageToken"


class _Item(msgspec.Struct):
    name: str
    size: int
    """A string in JSON."""
    crc32c: str | None = None
    metadata: dict[str, str] | None = None


class _Page(msgspec.Struct, rename="camel"):
    items: list[_Item] = []
    next_page_token: str | None = None


class Listing:
    """Objects of a bucket below `root` whose name begins with `prefix` and sorts after `after`; names are told without `root`."""

    def __init__(self, bucket: str, root: str, prefix: str, after: str) -> None:
        self._path = f"/b/{bucket}/o"
        self._doing = f"list gs://{bucket}/{root}{prefix}"
        self._root = root
        self._after = after
        self._query = {
            "prefix": root + prefix, "maxResults": PAGE_OBJECTS, "projection": "noAcl", "fields": _FIELDS
        }  # fmt: skip
        if after:  # it knows no "after": the name itself comes too
            self._query["startOffset"] = root + after
        self._seen: set[str] = set()
        self._ended = False

    def page(self, client: Client, attempts: Attempts) -> list[ObjectInfo] | None:
        """The next names; None at the end. Blocks. Raises whatever the library does, and TransientStoreError."""
        if self._ended:
            return None
        answer = client._connection.api_request(  # noqa: SLF001 — the library's only way to an answer as it came
            "GET", self._path, query_params=self._query, expect_json=False, timeout=TIMEOUT, retry=attempts
        )
        page = msgspec.json.decode(answer, type=_Page, strict=False)
        token = page.next_page_token
        self._ended = not token
        if token:
            if token in self._seen:  # it would never end
                raise TransientStoreError(
                    f"{self._doing}: the bucket names a page that was read before as the next one"
                )
            self._seen.add(token)
            self._query["pageToken"] = token
        infos = (
            ObjectInfo(
                item.name.removeprefix(self._root), item.size, crc32c_of(item.crc32c), item.metadata or {}
            )
            for item in page.items
        )
        return [info for info in infos if info.name > self._after]


def crc32c_of(told: str | None) -> int | None:
    """The checksum that the bucket named: four bytes, big-endian, in base64."""
    return int.from_bytes(base64.b64decode(told), "big") if told else None
