"""How operators' commands open a bucket: as the services do, but for the patience, and for folders, which they do not make.

Somebody waits for the answer; and a folder that was made of a mistyped address would look like a bucket that is well.
"""

import asyncio
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from audiostore import open_store
from audiostore.attempts import Patience
from audiostore.errors import StoreConfigurationError
from audiostore.folder import TEMPORARY
from audiostore.names import ROOT
from audiostore.opening import check_address
from audiostore.store import Store

PATIENCE: Final = Patience(begin_for_s=5, deadline_s=20)
"""A service tries for a minute; here one that never answers is told of after the one request that it did not answer."""


async def opened(url: str) -> Store:
    """The store at this address; whoever opens it closes it.

    Raises:
        StoreConfigurationError: the address cannot be used, or there is no such folder.
    """
    return await asyncio.to_thread(_opened, url)


def folder_of(url: str) -> Path | None:
    """The folder of a `file://` address; None of any other."""
    return Path(unquote(url.partition(":")[2].removeprefix("//"))) if url.startswith("file:") else None


def _opened(url: str) -> Store:
    check_address(url)
    folder = folder_of(url)
    if folder is not None:
        _must_be_a_store(folder)
    return open_store(url, PATIENCE)


def _must_be_a_store(folder: Path) -> None:
    """Empty ones will do: it may be mounted and not be used yet."""
    if not folder.is_dir():
        raise StoreConfigurationError(f"there is no folder {folder}; the services make theirs")
    try:
        names = {one.name for one in folder.iterdir()}
    except OSError as error:
        raise StoreConfigurationError(f"{folder} cannot be read: {error.strerror}") from error
    if names and not names & {TEMPORARY, ROOT.rstrip("/")}:
        raise StoreConfigurationError(f"{folder} holds other files, and nothing of Tapedeck's")
