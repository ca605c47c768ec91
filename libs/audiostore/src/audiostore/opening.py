"""From `TAPEDECK_STORE_URL` to a store.

Owns the syntax of store addresses. Backends are imported only when one is opened: google-cloud-storage alone costs a second.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from audiostore.attempts import PATIENCE, Patience
from audiostore.errors import BadNameError, StoreConfigurationError
from audiostore.store import Store, check_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", re.ASCII)
_KNOWN = "file:///folder, file://./folder, memory:, and gs://, s3:// and az://bucket[/prefix] are"


def open_store(url: str, patience: Patience = PATIENCE) -> Store:
    """The store at `url`. `patience`: how long each operation on a store behind a network is tried again.

    `file:///folder` (or `file://./folder`, relative to where the process runs; it is made where it is missing), `memory:` (empty and
    private), `gs://bucket[/prefix]` (credentials as Google's libraries find them; none where STORAGE_EMULATOR_HOST is set),
    `s3://bucket[/prefix]` and `az://container[/prefix]` (settings from AWS_… and AZURE_… in the environment: docs/stores.md).
    May block for a second or two. Raises StoreConfigurationError for an address or credentials that cannot work.
    """
    scheme, where, prefix = _parsed(url)
    if scheme == "memory":
        from audiostore.memory_store import MemoryStore  # noqa: PLC0415 — backends are imported when opened

        return MemoryStore()
    if scheme == "file":
        from audiostore.file_store import FileStore  # noqa: PLC0415 — backends are imported when opened

        return FileStore(Path(where).absolute())
    if scheme == "gs":
        from audiostore.gcs_store import GcsStore  # noqa: PLC0415 — this import takes a second

        return GcsStore(where, prefix, patience)
    if scheme == "s3":
        from audiostore.s3_store import S3Store  # noqa: PLC0415 — backends are imported when opened

        return S3Store(where, prefix, patience)
    from audiostore.az_store import AzStore  # noqa: PLC0415 — backends are imported when opened

    return AzStore(where, prefix, patience)


def check_address(url: str) -> None:
    """Raises StoreConfigurationError for an address that can be none. Asks nobody: whether there is a store behind it is not looked at."""
    _parsed(url)


def wrong_addresses(addresses: Mapping[str, str | None]) -> Iterator[str]:
    """What is wrong with addresses, one line each; by the names of their settings. None is one that is not set."""
    for setting, url in addresses.items():
        if url is None:
            continue
        try:
            check_address(url)
        except StoreConfigurationError as error:
            yield f"{setting}: {error}"


def _parsed(url: str) -> tuple[str, str, str]:
    """Scheme; folder or bucket; prefix, which is empty or ends with a slash."""
    scheme, _colon, rest = url.partition(":")
    if url == "memory:":
        return scheme, "", ""
    if scheme == "file":
        return scheme, _folder(url, rest), ""
    if scheme in {"gs", "s3", "az"}:
        return scheme, *_bucket(url, rest)
    raise StoreConfigurationError(f"store address {_shown(url)}: this kind of store is not known; {_KNOWN}")


def _folder(url: str, rest: str) -> str:
    path = unquote(rest.removeprefix("//"))
    if not rest.startswith("//") or not path.startswith(("/", "./", "../")) or "\0" in path:
        raise StoreConfigurationError(
            f"store address {_shown(url)}: write file:///folder, or file://./folder for a relative one"
        )
    return path


def _bucket(url: str, rest: str) -> tuple[str, str]:
    """Bucket and prefix; the prefix is empty or ends with a slash."""
    bucket, _slash, prefix = rest.removeprefix("//").partition("/")
    prefix = prefix.strip("/")
    if not rest.startswith("//") or not _BUCKET.fullmatch(bucket):
        raise StoreConfigurationError(
            f"store address {_shown(url)}: write {url.partition(':')[0]}://bucket or {url.partition(':')[0]}://bucket/prefix"
        )
    if not prefix:
        return bucket, ""
    try:
        return bucket, f"{check_name(prefix)}/"
    except BadNameError as error:
        raise StoreConfigurationError(f"store address {_shown(url)}: {error}") from error


def _shown(url: str) -> str:
    """The address without what may be a password in it: all up to the last `@` but the scheme, and a query."""
    before, at, rest = url.rpartition("@")
    scheme = f"{before.partition('//')[0]}//…@" if at else ""
    where, mark, _query = rest.partition("?")
    return f"{scheme}{where}{mark and '?…'}"[:200]
