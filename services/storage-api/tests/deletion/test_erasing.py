"""Objects are deleted, also beside some that cannot be."""

import pytest

from audiostore import open_store
from audiostore.errors import TransientStoreError
from storage_api.deletion.erasing import AT_ONCE, delete_all, erase


@pytest.fixture
async def store():
    opened = open_store("memory:")
    for number in range(3 * AT_ONCE):
        await opened.put(f"chunks/u/c/{number:02}", b"x", content_type="audio/ogg", metadata={})
    yield opened
    await opened.close()


async def names(store):
    return [info.name async for info in store.list("")]


class Held:
    """A store in which one object is held."""

    def __init__(self, store, name):
        self._store, self._name = store, name

    def list(self, prefix, after=""):
        return self._store.list(prefix, after)

    async def delete(self, name):
        if name == self._name:
            raise TransientStoreError("held")
        await self._store.delete(name)


async def test_one_that_cannot_be_deleted_keeps_no_other(store):
    held = "chunks/u/c/03"
    with pytest.raises(TransientStoreError, match="held"):
        await delete_all(Held(store, held), await names(store))
    assert await names(store) == [held]


async def test_a_prefix_is_erased_until_nothing_is_listed(store):
    await store.put("chunks/u/other/1", b"x", content_type="audio/ogg", metadata={})
    assert len(await erase(store, "chunks/u/c/")) == 3 * AT_ONCE
    assert await names(store) == ["chunks/u/other/1"]
