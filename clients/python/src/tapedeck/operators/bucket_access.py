"""How operators' commands open a bucket: as the services do, but for the patience. Somebody waits for the answer."""

import asyncio
from typing import Final

from audiostore import open_store
from audiostore.attempts import Patience
from audiostore.store import Store

PATIENCE: Final = Patience(begin_for_s=5, deadline_s=20)
"""A service tries for a minute; here one that never answers is told of after the one request that it did not answer."""


async def opened(url: str) -> Store:
    """The store at this address; whoever opens it closes it.

    Raises:
        StoreConfigurationError: the address cannot be used.
    """
    return await asyncio.to_thread(open_store, url, PATIENCE)
