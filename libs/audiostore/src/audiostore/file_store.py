"""`file://`: the embedded default. Objects are files at exactly `<folder>/<name>`; whoever can read the folder can play them.

Owns a small thread pool around `Folder`; the rules of files stand there. Metadata is kept where the file system can (`file_metadata`): what a
batch says of itself stands in its tags, too.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from audiostore.folder import Entries, Folder
from audiostore.gathered_reads import GatheredReads
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
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

THREADS = 8  # a disk gains little from more; the event loop's own pool stays free
DEADLINE_S = 60.0
SHORT_BYTES = (
    64 * 1024
)  # reads of no more share a thread: where a file has no metadata, the first bytes of each object are read


class FileStore:
    """Objects below `root`, which is made where it is missing. Implements Store. Raises StoreError where it cannot be used."""

    def __init__(self, root: Path) -> None:
        self._folder = Folder(root)
        self._threads = Threads("file-store", THREADS, DEADLINE_S)
        self._short = GatheredReads(self._folder.read_range, self._threads)

    async def put(
        self, name: str, data: bytes, *, content_type: str, metadata: Mapping[str, str]
    ) -> ObjectInfo:
        """See Store. Content type is left out."""
        del content_type  # files have none
        check_name(name)
        check_size(name, len(data))
        kept = check_metadata(metadata)
        return await self._threads.run(f"put {name}", self._folder.create, name, data, kept)

    async def get(self, name: str) -> bytes:
        """See Store. A file without metadata has no checksum either: Ogg pages and sealed records have."""
        return await self._threads.run(f"get {name}", self._folder.read, check_name(name))

    async def get_range(self, name: str, start: int, end: int) -> bytes:
        """See Store."""
        check_range(name, start, end)
        if end - start <= SHORT_BYTES:
            return await self._short.get(check_name(name), start, end)
        return await self._threads.run(f"get {name}", self._folder.read_range, check_name(name), start, end)

    async def head(self, name: str) -> ObjectInfo:
        """See Store. Reads the whole file for its checksum."""
        return await self._threads.run(f"look at {name}", self._folder.head, check_name(name))

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[ObjectInfo]:
        """See Store."""
        check_prefix(prefix)
        doing = f"list {prefix}"
        page: list[str] = []
        async for names in self._walk(prefix, after):
            page += names
            if len(page) >= PAGE_OBJECTS:
                for info in await self._threads.run(doing, self._folder.sizes, page):
                    yield info
                page = []
        for info in await self._threads.run(doing, self._folder.sizes, page):
            yield info

    async def with_metadata(self, infos: Sequence[ObjectInfo]) -> Sequence[ObjectInfo]:
        """See `store.with_metadata`."""
        found: list[ObjectInfo] = []
        for at in range(0, len(infos), PAGE_OBJECTS):
            some = infos[at : at + PAGE_OBJECTS]
            doing = f"look at {some[0].name} and what follows"
            found += await self._threads.run(doing, self._folder.with_metadata, some)
        return found

    async def list_folders(self, prefix: str) -> AsyncIterator[str]:
        """See Store."""
        check_prefix(prefix)
        for name in await self._entries(_parent(prefix)):
            wanted = name.endswith("/") and name.startswith(prefix)
            if wanted and await self._threads.run(f"list {name}", self._folder.holds_file, name):
                yield name

    async def copy(self, source: str, target: str) -> ObjectInfo:
        """See Store."""
        check_name(source)
        check_name(target)
        return await self._threads.run(f"copy {source} to {target}", self._folder.copy, source, target)

    async def delete(self, name: str) -> None:
        """See Store."""
        await self._threads.run(f"delete {name}", self._folder.remove, check_name(name))

    async def close(self) -> None:
        """See Store."""
        await self._short.close()
        await self._threads.close()

    async def _walk(self, prefix: str, after: str) -> AsyncIterator[Sequence[str]]:
        """Names of files in the order of full names, up to a page of them together: depth first, one folder in memory for each level."""
        waiting = [_Level(await self._entries(_parent(prefix)), prefix, after)]
        while waiting:
            files, below = waiting[-1].next()
            if files:
                yield files
            if below is not None:
                waiting.append(_Level(await self._entries(below), prefix, after))
            elif waiting[-1].ended:
                waiting.pop()

    async def _entries(self, folder: str) -> Entries:
        return await self._threads.run(f"list {folder}", self._folder.entries, folder)


class _Level:
    """A folder that is walked through."""

    def __init__(self, entries: Entries, prefix: str, after: str) -> None:
        """Of its entries those whose names begin with `prefix`, and of these what sorts after `after` or may hold such a name."""
        first = bisect_left(entries, prefix)
        # Nothing before this one sorts after `after`; but the folder that `after` lies in is before it.
        begin = max(first, bisect_right(entries, after))
        if begin > first and (before := entries[begin - 1]).endswith("/") and after.startswith(before):
            begin -= 1
        self._entries = entries
        self._at = begin
        self._end = bisect_left(entries, True, begin, key=lambda name: not name.startswith(prefix))

    @property
    def ended(self) -> bool:
        """Whether nothing more follows."""
        return self._at == self._end

    def next(self) -> tuple[Entries, str | None]:
        """The files that follow, a page of them at the most, and the folder after them; None where that has to be asked for again, or none is there."""
        begin, self._at = self._at, min(self._end, self._at + PAGE_OBJECTS)
        for at in range(begin, self._at):
            if self._entries[at].endswith("/"):
                self._at = at + 1
                return self._entries[begin:at], self._entries[at]
        return self._entries[begin : self._at], None


def _parent(prefix: str) -> str:
    """The deepest folder that holds everything with this prefix."""
    return prefix[: prefix.rfind("/") + 1]
