"""The store of tests: a dictionary with the same contract as a bucket.

Owns objects of one process for as long as it lives. It must not be kinder than a bucket: what a bucket refuses, it refuses.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import google_crc32c

from audiostore.errors import AlreadyExistsError, NotFoundError
from audiostore.store import ObjectInfo, check_metadata, check_name, check_prefix, check_range, check_size

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping


@dataclass(frozen=True, slots=True)
class _Held:
    info: ObjectInfo
    data: bytes
    content_type: str


class MemoryStore:
    """`memory:`: each one opened is empty and private. Implements Store."""

    def __init__(self) -> None:
        self._objects: dict[str, _Held] = {}

    async def put(
        self, name: str, data: bytes, *, content_type: str, metadata: Mapping[str, str]
    ) -> ObjectInfo:
        """See Store."""
        check_name(name)
        check_size(name, len(data))
        info = ObjectInfo(name, len(data), google_crc32c.value(data), check_metadata(metadata))
        return self._create(_Held(info, bytes(data), content_type))

    async def get(self, name: str) -> bytes:
        """See Store."""
        data = self._held(name).data
        check_size(name, len(data))
        return data

    async def get_range(self, name: str, start: int, end: int) -> bytes:
        """See Store."""
        check_range(name, start, end)
        return self._held(name).data[start:end]

    async def head(self, name: str) -> ObjectInfo:
        """See Store."""
        return self._held(name).info

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[ObjectInfo]:
        """See Store."""
        check_prefix(prefix)
        for name in sorted(self._objects):
            if name.startswith(prefix) and name > after and (held := self._objects.get(name)):
                yield held.info

    async def list_folders(self, prefix: str) -> AsyncIterator[str]:
        """See Store."""
        check_prefix(prefix)
        names = [name for name in self._objects if name.startswith(prefix)]
        folders = {name[: name.index("/", len(prefix)) + 1] for name in names if "/" in name[len(prefix) :]}
        for folder in sorted(folders):
            yield folder

    async def copy(self, source: str, target: str) -> ObjectInfo:
        """See Store."""
        check_name(target)
        held = self._held(source)
        return self._create(replace(held, info=replace(held.info, name=target)))

    async def delete(self, name: str) -> None:
        """See Store."""
        self._objects.pop(check_name(name), None)

    async def close(self) -> None:
        """See Store."""

    def _create(self, held: _Held) -> ObjectInfo:
        name = held.info.name
        if name in self._objects:
            raise AlreadyExistsError(f"put {name} into memory: the name is taken")
        self._objects[name] = held
        return held.info

    def _held(self, name: str) -> _Held:
        try:
            return self._objects[check_name(name)]
        except KeyError as error:
            raise NotFoundError(f"read {name} from memory: no such object") from error
