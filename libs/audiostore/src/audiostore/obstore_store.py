"""What `s3://` and `az://` have in common: a bucket through obstore, which is async itself.

Owns the calls and the order in which they are made. Every put and copy is create-only; a "taken" that follows one's own lost reply is compared
before it is called a conflict. What turns out not to be what was sent is put right in place, by its ETag, and never removed: obstore's delete knows
no condition, and one that lands late could take the good object that somebody else put there meanwhile. The CRC32C of the content lies beside it as metadata, and every `get` is compared with it. obstore's own
retries are off: what may be repeated, and whether a repeat hides a success, is decided here. What differs stands in `s3_store` and
`az_store`; errors are translated in `obstore_errors`.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import google_crc32c
from obstore.exceptions import BaseError

from audiostore.attempts import PATIENCE, Attempts, Patience, attempts
from audiostore.errors import AlreadyExistsError, ChecksumError, NotFoundError, TransientStoreError
from audiostore.kept_metadata import keep, read_back
from audiostore.obstore_errors import Missing, beyond_the_end, translated
from audiostore.obstore_listing import Listing
from audiostore.store import (
    ObjectInfo,
    check_metadata,
    check_name,
    check_prefix,
    check_range,
    check_size,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from contextlib import AbstractContextManager

    from obstore import GetResult
    from obstore.store import AzureStore, S3Store

Client: TypeAlias = "S3Store | AzureStore"
Entries: TypeAlias = dict[str, str]

UNDER_WAY = 64  # requests at the same time; more wait here


@dataclass(frozen=True, slots=True)
class Traits:
    """What differs between backends and is no code."""

    metadata_bytes: int
    """Keys and values together."""
    hyphen: str
    """What stands for a hyphen in metadata keys."""
    reads_back: bool
    """Nothing confirms what was written: it is read again and compared."""
    refused: str
    """What an operator does where the credentials are refused."""


class ObstoreStore:
    """Objects in one bucket, their names after `prefix` (empty, or ending with a slash). Implements Store."""

    def __init__(
        self, client: Client, url: str, prefix: str, traits: Traits, patience: Patience = PATIENCE
    ) -> None:
        self._client = client
        self._url = url
        self._prefix = prefix
        self._traits = traits
        self._patience = patience
        self._places = asyncio.Semaphore(UNDER_WAY)

    async def put(
        self, name: str, data: bytes, *, content_type: str, metadata: Mapping[str, str]
    ) -> ObjectInfo:
        """See Store."""
        check_name(name)
        check_size(name, len(data))
        kept = keep(check_metadata(metadata), google_crc32c.value(data), self._traits.metadata_bytes)
        sent = ObjectInfo(name, len(data), google_crc32c.value(data), kept.metadata)
        entries = {self._key_out(key): value for key, value in kept.entries.items()}
        async with self._attempts(f"put {self._url}{name}") as tries:
            attributes = entries | {"Content-Type": content_type}
            try:
                await self._create(tries, name, data, attributes)
            except AlreadyExistsError:
                if not (tries.repeated and await self._is_there(tries, sent, entries)):
                    raise
            if self._traits.reads_back and (e_tag := await self._damaged(tries, sent, entries)):
                doing = f"put {self._url}{name}"
                await self._put_right(tries, doing, sent, data, attributes, e_tag)
        return sent

    async def get(self, name: str) -> bytes:
        """See Store."""
        check_name(name)
        async with self._attempts(f"get {self._url}{name}") as tries:
            return await self._get(tries, name)

    async def get_range(self, name: str, start: int, end: int) -> bytes:
        """See Store."""
        check_range(name, start, end)
        check_name(name)
        doing = f"get a range of {self._url}{name}"

        async def ask() -> bytes | None:
            with self._translated(doing):
                try:
                    return bytes(
                        await self._client.get_range_async(self._prefix + name, start=start, end=end)
                    )
                except BaseError as error:
                    if not beyond_the_end(error):
                        raise
                    return None

        async with self._attempts(doing) as tries:
            data = await tries.read(ask)
            if data is None and (await self._head(tries, name)).size > start:
                raise TransientStoreError(
                    f"{doing}: the store says that it has no such bytes, and that it has them"
                )
            return data or b""

    async def head(self, name: str) -> ObjectInfo:
        """See Store."""
        check_name(name)
        async with self._attempts(f"look at {self._url}{name}") as tries:
            return await self._head(tries, name)

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[ObjectInfo]:
        """See Store. Tells sizes alone."""
        check_prefix(prefix)
        doing = f"list {self._url}{prefix}"
        listing = Listing(self._client, self._prefix, prefix, after)

        async def ask() -> list[tuple[str, int]] | None:
            with self._translated(doing, "bucket"):
                return await listing.page()

        while True:
            async with self._attempts(doing) as tries:
                page = await tries.read(ask)
            if page is None:
                return
            for name, size in page:
                yield ObjectInfo(name, size, None, None)

    async def list_folders(self, prefix: str) -> AsyncIterator[str]:
        """See Store. All pages are fetched before the first name is given: obstore has no other way."""
        check_prefix(prefix)
        doing = f"list folders of {self._url}{prefix}"
        above = self._prefix + prefix[: prefix.rfind("/") + 1]

        async def ask() -> list[str]:
            with self._translated(doing, "bucket"):
                found = await self._client.list_with_delimiter_async(above.rstrip("/") or None)
                return [f"{folder}/".removeprefix(self._prefix) for folder in found["common_prefixes"]]

        async with self._attempts(doing) as tries:
            folders = await tries.read(ask)
        for folder in sorted(folders):
            if folder.startswith(prefix):
                yield folder

    async def copy(self, source: str, target: str) -> ObjectInfo:
        """See Store."""
        check_name(source)
        check_name(target)
        doing = f"copy {self._url}{source} to {target}"
        async with self._attempts(doing) as tries:
            result = await self._look(tries, source)
            wanted, entries = replace(self._info(source, result), name=target), _entries(result)
            try:
                await self._copy(tries, source, target)
            except AlreadyExistsError:
                if not (tries.repeated and await self._is_there(tries, wanted, entries)):
                    raise
            if not await self._is_there(tries, wanted, entries):
                raise ChecksumError(f"{doing}: what lies there says that it is something else")
            if self._traits.reads_back and (e_tag := await self._damaged(tries, wanted, entries)):
                data = await self._get(tries, source)
                await self._put_right(tries, doing, wanted, data, dict(result.attributes), e_tag)
        return wanted

    async def delete(self, name: str) -> None:
        """See Store."""
        check_name(name)
        doing = f"delete {self._url}{name}"

        async def ask() -> None:
            with self._translated(doing):
                await self._client.delete_async(self._prefix + name)

        async with self._attempts(doing) as tries:
            try:
                await tries.read(ask)
            except NotFoundError:
                # S3 has no such answer. Azure says it of a container that is not to be seen for now, too, and the object comes back with it.
                await self._require_unlisted(tries, doing, name)

    async def close(self) -> None:
        """See Store."""
        for _ in range(UNDER_WAY):  # each place that is free again is one operation that has ended
            await self._places.acquire()

    # Where the backends differ.

    async def _create(self, tries: Attempts, name: str, data: bytes, attributes: Entries) -> None:
        """One create-only put. Raises AlreadyExistsError."""

        async def ask() -> None:
            with self._translated(f"put {self._url}{name}", "bucket"):
                await self._client.put_async(
                    self._prefix + name, data, attributes=attributes, mode="create", use_multipart=False
                )

        await tries.write(ask)

    async def _copy(self, tries: Attempts, source: str, target: str) -> None:
        """One create-only copy inside the store. Raises NotFoundError (source), AlreadyExistsError (target)."""

        async def ask() -> None:
            with self._translated(f"copy {self._url}{source} to {target}"):
                await self._client.copy_async(self._prefix + source, self._prefix + target, overwrite=False)

        await tries.write(ask)

    # What the calls above are made of.

    async def _get(self, tries: Attempts, name: str) -> bytes:
        doing = f"get {self._url}{name}"

        async def ask() -> bytes:
            with self._translated(doing):
                result = await self._client.get_async(self._prefix + name)
                info = self._info(name, result)
                check_size(name, info.size)
                data = bytes(await result.bytes_async())
            if len(data) != info.size or (
                info.crc32c is not None and google_crc32c.value(data) != info.crc32c
            ):
                raise ChecksumError(
                    f"{doing}: the bytes that came do not have the size and CRC32C that were stored"
                )
            return data

        return await tries.read(ask)

    async def _head(self, tries: Attempts, name: str) -> ObjectInfo:
        return self._info(name, await self._look(tries, name))

    async def _require_unlisted(self, tries: Attempts, doing: str, name: str) -> None:
        """Nothing, if a listing does not have it. Raises StoreConfigurationError where there is no such bucket, TransientStoreError where it is listed."""
        listing = Listing(self._client, self._prefix, name, "")

        async def ask() -> list[tuple[str, int]] | None:
            with self._translated(doing, "bucket"):
                return await listing.page()

        if any(found == name for found, _size in await tries.read(ask) or ()):
            raise TransientStoreError(f"{doing}: the store says that it is not there, and lists it")

    async def _look(self, tries: Attempts, name: str) -> GetResult:
        async def ask() -> GetResult:
            with self._translated(f"look at {self._url}{name}"):
                return await self._client.get_async(self._prefix + name, options={"head": True})

        return await tries.read(ask)

    async def _is_there(self, tries: Attempts, wanted: ObjectInfo, entries: Entries) -> bool:
        """Whether what lies there says of itself that it is just this. Raises TransientStoreError where it is gone again by now."""
        try:
            found = await self._look(tries, wanted.name)
        except NotFoundError as error:
            raise _gone_again(wanted.name) from error
        return found.meta["size"] == wanted.size and _entries(found) == entries

    async def _damaged(self, tries: Attempts, wanted: ObjectInfo, entries: Entries) -> str:
        """The ETag of what lies there where its bytes are not the ones meant, although it says that they are; empty where all is well.

        Raises TransientStoreError where it is gone again by now, or something else lies there.
        """

        async def ask() -> tuple[bytes, GetResult]:
            with self._translated(f"get {self._url}{wanted.name}"):
                result = await self._client.get_async(self._prefix + wanted.name)
                check_size(wanted.name, result.meta["size"])
                return bytes(await result.bytes_async()), result

        e_tag = ""
        for _ in range(2):  # bytes may change on the way here too
            try:
                data, result = await tries.read(ask)
            except NotFoundError as error:
                raise _gone_again(wanted.name) from error
            if _entries(result) != entries:
                raise _gone_again(wanted.name)
            if wanted.crc32c in {None, google_crc32c.value(data)}:
                return ""
            e_tag = result.meta["e_tag"] or "none"  # what has none is not put right: no object matches this
        return e_tag

    async def _put_right(
        self,
        tries: Attempts,
        doing: str,
        wanted: ObjectInfo,
        data: bytes,
        attributes: Entries,
        e_tag: str,
    ) -> None:
        """Puts the bytes that were meant in the place of the damaged ones with this ETag, unless that has changed by now.

        Raises ChecksumError where they are not the right ones even so: they stay.
        """

        async def ask() -> None:
            with self._translated(doing):
                await self._client.put_async(
                    self._prefix + wanted.name,
                    data,
                    attributes=attributes,
                    mode={"e_tag": e_tag},
                    use_multipart=False,
                )

        # Somebody was faster, or it was us, and the reply was lost.
        with suppress(AlreadyExistsError, NotFoundError):
            await tries.write(ask)
        if await self._damaged(tries, wanted, _kept(attributes)):
            raise ChecksumError(f"{doing}: what lies there differs from what was sent, and stays; try again")

    def _info(self, name: str, result: GetResult) -> ObjectInfo:
        entries = {key.replace(self._traits.hyphen, "-"): value for key, value in _entries(result).items()}
        crc32c, metadata = read_back(entries)
        return ObjectInfo(name, result.meta["size"], crc32c, metadata, claimed=self._traits.reads_back)

    def _key_out(self, key: str) -> str:
        return key.replace("-", self._traits.hyphen)

    @asynccontextmanager
    async def _attempts(self, doing: str) -> AsyncIterator[Attempts]:
        async with attempts(doing, self._patience) as tries, self._places:
            yield tries

    def _translated(self, doing: str, missing: Missing = "object") -> AbstractContextManager[None]:
        return translated(doing, missing=missing, refused=self._traits.refused)


def _gone_again(name: str) -> TransientStoreError:
    """Somebody removed it, perhaps because it was damaged: whoever is told that it is stored may let the only other copy go."""
    return TransientStoreError(f"{name}: it was there, and is gone again")


def _entries(result: GetResult) -> Entries:
    """What was given to the object as metadata: `Content-Type` and its like begin with a capital."""
    return _kept(result.attributes)


def _kept(attributes: Mapping[str, str]) -> Entries:
    return {key: value for key, value in attributes.items() if key.islower()}
