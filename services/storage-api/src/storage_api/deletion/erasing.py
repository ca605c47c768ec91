"""Deletes objects from the bucket, or from both, and knows that they are gone: from a listing, not from having asked for it."""

import asyncio
from collections.abc import Sequence
from typing import Final

from audiostore.errors import TransientStoreError
from audiostore.store import Store

AT_ONCE: Final = 32
"""Objects deleted at the same time: each is a call to the bucket, which may take 50 ms."""
LISTINGS: Final = 10
"""After so many there is still something: somebody goes on putting it."""


async def erase(store: Store, prefix: str) -> frozenset[str]:
    """Deletes everything below the prefix until a listing shows nothing; the names that there were. StoreError."""
    seen: set[str] = set()
    for _ in range(LISTINGS):
        names = [info.name async for info in store.list(prefix)]
        if not names:
            return frozenset(seen)
        await delete_all(store, names)
        seen.update(names)
    raise TransientStoreError(f"delete {prefix}: objects come back as fast as they are deleted; try again")


async def delete_all(store: Store, names: Sequence[str]) -> None:
    """Deletes objects of these names, also where some cannot be deleted. StoreError: not all of them are."""
    failed: list[BaseException] = []
    for start in range(0, len(names), AT_ONCE):
        some = names[start : start + AT_ONCE]
        results = await asyncio.gather(*(store.delete(name) for name in some), return_exceptions=True)
        failed += [result for result in results if isinstance(result, BaseException)]
    if failed:
        raise failed[0]
