"""Names under a prefix, page by page, from obstore's listing, which knows whole folders only.

Owns where a listing begins, ends, and goes on after an error. It refuses a bucket that does not list in name order: everything above relies
on it, and buckets with a hierarchical namespace or "directory buckets" do not promise it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audiostore.errors import BadNameError, StoreConfigurationError
from audiostore.store import PAGE_OBJECTS, check_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from obstore import ListStream, ObjectMeta
    from obstore.store import AzureStore, S3Store


class Listing:
    """Objects below `root` whose name begins with `prefix` and sorts after `after`; names are told without `root`."""

    def __init__(self, client: S3Store | AzureStore, root: str, prefix: str, after: str) -> None:
        self._client = client
        self._root = root
        self._prefix = prefix
        self._last = after
        """Names up to this one were told."""
        self._seen = ""
        """The last name of the stream that is being read."""
        self._ended = False
        self._stream: ListStream[Sequence[ObjectMeta]] | None = None

    async def page(self) -> list[tuple[str, int]] | None:
        """The next names and sizes; None at the end. After an error it may be called again: it goes on behind the last name told."""
        if self._ended:
            return None
        if self._stream is None:
            self._stream, self._seen = self._begin(), ""
        stream, self._stream = self._stream, None  # so that an error, or a cancelled call, begins a new one
        try:
            found = await anext(stream)
        except StopAsyncIteration:
            return None
        page = [(meta["path"].removeprefix(self._root), meta["size"]) for meta in found]
        for name, _size in page:
            self._see(name)
        page = [(name, size) for name, size in page if name > self._last]
        if page:
            self._last = page[-1][0]
            self._ended = self._last > self._prefix and not self._last.startswith(self._prefix)
        self._stream = stream
        return [(name, size) for name, size in page if name.startswith(self._prefix)]

    def _begin(self) -> ListStream[Sequence[ObjectMeta]]:
        folder = self._root + self._prefix[: self._prefix.rfind("/") + 1]
        return self._client.list(folder.rstrip("/") or None, offset=self._offset(), chunk_size=PAGE_OBJECTS)

    def _offset(self) -> str | None:
        """A name up to which nothing is wanted, as near as may be; None: begin at the beginning."""
        before = (
            "" if self._prefix.endswith("/") else self._prefix[:-1]
        )  # sorts before every name with the prefix
        try:
            return self._root + check_name(max(self._last, before).rstrip("/"))
        except BadNameError:  # it is no object's name; what it would leave out is left out by `page`
            return None

    def _see(self, name: str) -> None:
        if name <= self._seen:
            raise StoreConfigurationError(
                f"list {self._prefix}: the bucket does not list in name order (a hierarchical namespace, or a directory bucket); "
                "use an ordinary one"
            )
        self._seen = name
