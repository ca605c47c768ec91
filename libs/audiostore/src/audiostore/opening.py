"""From `TAPEDECK_STORE_URL` to a store.

Owns the syntax of store addresses. Backends are imported only when one is opened: google-cloud-storage alone costs a second.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from audiostore.attempts import PATIENCE, Patience
from audiostore.errors import BadNameError, StoreConfigurationError
from audiostore.store import Store, check_name

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", re.ASCII)
_KNOWN = "file:///folder, file://./folder, memory:, and gs://, s3:// and az://bucket[/prefix] are"


def open_store(url: str, patience: Patience = PATIENCE) -> Store:
    """The store at `url`. `patience`: how long each operation on a store behind a network is tried again.

    `file:///folder` (or `file://./folder`, relative to where the process runs; it is made where it is missing), `memory:` (empty and
    private), `gs://bucket[/prefix]` (credentials as Google's libraries find them; none where STORAGE_EMULATOR_HOST is set),
    `s3://bucket[/prefix]` and `az://container[/prefix]` (settings from AWS_… and AZURE_… in the environment: docs/stores.md).
    May block for a second or two. Raises StoreConfigurationError for an address or credentials that cannot work.
    """
    scheme, _colon, rest = url.partition(":")
    if url == "memory:":
        from audiostore.memory_store import MemoryStore  # noqa: PLC0415 — backends are imported when opened

        return MemoryStore()
    if scheme == "file":
        from audiostore.file_store import FileStore  # noqa: PLC0415 — backends are imported when opened

        return FileStore(_folder(url, rest))
    if scheme == "gs":
        bucket, prefix = _bucket(url, rest)
        from audiostore.gcs_store import GcsStore  # noqa: PLC0415 — this import takes a second

        return GcsStore(bucket, prefix, patience)
    if scheme == "s3":
        bucket, prefix = _bucket(url, rest)
        from audiostore.s3_store import S3Store  # noqa: PLC0415 — backends are imported when opened

        return S3Store(bucket, prefix, patience)
    if scheme == "az":
        bucket, prefix = _bucket(url, rest)
        from audiostore.az_store import AzStore  # noqa: PLC0415 — backends are imported when opened

        return AzStore(bucket, prefix, patience)
    raise StoreConfigurationError(f"store address {_shown(url)}: this kind of store is not known; {_KNOWN}")


def open_stores(url: str, fallback_url: str | None, patience: Patience = PATIENCE) -> Store:
    """The store at `url`; with `fallback_url` (TAPEDECK_FALLBACK_STORE_URL) both look like one to readers. As `open_store`."""
    first = open_store(url, patience)
    if fallback_url is None:
        return first
    from audiostore.paired_store import PairedStore  # noqa: PLC0415 — few need it

    return PairedStore(first, open_store(fallback_url, patience))


def _folder(url: str, rest: str) -> Path:
    path = unquote(rest.removeprefix("//"))
    if not rest.startswith("//") or not path.startswith(("/", "./", "../")) or "\0" in path:
        raise StoreConfigurationError(
            f"store address {_shown(url)}: write file:///folder, or file://./folder for a relative one"
        )
    return Path(path).absolute()


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
    """The address without what may be a password in it."""
    return re.sub(r"//[^/@]*@", "//…@", url[:200])
