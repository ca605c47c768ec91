"""A store that cannot be opened yet: what is heard meanwhile, and that it works once it is open."""

import asyncio
import threading

import pytest

from audiostore import opened_later
from audiostore.attempts import Patience
from audiostore.errors import NotFoundError, StoreConfigurationError, TransientStoreError
from audiostore.file_store import FileStore
from audiostore.opened_later import OpenedLater, open_stores
from audiostore.paired_store import PairedStore
from audiostore.store import with_metadata

TYPE = "audio/ogg"


@pytest.fixture
def in_the_way(tmp_path):
    """A file where the store's folder is to be."""
    path = tmp_path / "store"
    path.write_text("in the way")
    return path


async def names(store):
    return [info.name async for info in store.list("")]


async def everything(store):
    """Calls each operation."""
    await store.put("a/b", b"audio", content_type=TYPE, metadata={})
    await store.copy("a/b", "a/c")
    assert await store.get("a/b") == b"audio"
    assert await store.get_range("a/b", 1, 3) == b"ud"
    assert (await store.head("a/c")).size == 5
    assert await names(store) == ["a/b", "a/c"]
    listed = [info async for info in store.list("")]
    heads = [await store.head(info.name) for info in listed]
    assert [info.metadata for info in await with_metadata(store, listed)] == [info.metadata for info in heads]
    assert [folder async for folder in store.list_folders("")] == ["a/"]
    await store.delete("a/b")
    with pytest.raises(NotFoundError):
        await store.get("a/b")


async def test_it_is_the_store_of_its_address(tmp_path):
    store = OpenedLater(f"file://{tmp_path}/store")
    assert store.complaint == "not opened yet"
    assert not (tmp_path / "store").exists()
    await everything(store)
    assert store.complaint == ""
    assert isinstance(await store.open(), FileStore)
    await store.close()


async def test_nothing_works_and_everything_says_why_until_it_can_be_opened(in_the_way, monkeypatch):
    store = OpenedLater(f"file://{in_the_way}")
    for call in (
        store.put("a", b"", content_type=TYPE, metadata={}),
        store.get("a"),
        store.get_range("a", 0, 1),
        store.head("a"),
        store.copy("a", "b"),
        store.delete("a"),
        names(store),
        store.open(),
    ):
        with pytest.raises(StoreConfigurationError, match=r"open the store in .*store"):
            await call
    assert "open the store in" in store.complaint
    in_the_way.unlink()
    monkeypatch.setattr(opened_later, "AGAIN_S", 0.0)
    store._again_at = 0.0
    await everything(store)
    assert store.complaint == ""
    await store.close()


async def test_opening_is_tried_by_all_together_and_not_more_often_than_every_few_seconds(
    in_the_way, monkeypatch
):
    tries = []
    real = opened_later.open_store

    def counted(url, patience):
        tries.append(url)
        return real(url, patience)

    monkeypatch.setattr(opened_later, "open_store", counted)
    store = OpenedLater(f"file://{in_the_way}")
    for _ in range(3):
        found = await asyncio.gather(*(store.get("a") for _ in range(10)), return_exceptions=True)
        assert {type(one) for one in found} == {StoreConfigurationError}
    assert len(tries) == 1
    store._again_at = 0.0
    with pytest.raises(StoreConfigurationError):
        await store.get("a")
    assert len(tries) == 2
    await store.close()


async def test_a_library_that_breaks_while_opening_is_told_too(monkeypatch):
    def breaks(_url, _patience):
        raise AttributeError("odd")

    monkeypatch.setattr(opened_later, "open_store", breaks)
    store = OpenedLater("memory:")
    with pytest.raises(StoreConfigurationError, match="AttributeError: odd"):
        await store.get("a")
    await store.close()


async def test_nobody_waits_longer_for_it_than_an_operation_may_take(monkeypatch):
    release = threading.Event()
    real = opened_later.open_store

    def slow(url, patience):
        release.wait(60)
        return real(url, patience)

    monkeypatch.setattr(opened_later, "open_store", slow)
    store = OpenedLater("memory:", Patience(deadline_s=0.05))
    with pytest.raises(TransientStoreError, match=r"not done after 0\.05 s"):
        await store.get("a")
    closing = asyncio.ensure_future(store.close())
    release.set()
    await closing
    assert store.complaint == ""


@pytest.mark.parametrize("urls", [("gs://UPPER", None), ("memory:", "nonsense:x")])
def test_an_address_that_can_be_none_is_refused_at_once(urls):
    with pytest.raises(StoreConfigurationError, match="store address"):
        open_stores(*urls)


async def test_of_a_pair_the_one_that_is_open_serves(in_the_way, tmp_path):
    await everything(OpenedLater(f"file://{tmp_path}/other"))
    pair = open_stores(f"file://{in_the_way}", f"file://{tmp_path}/other")
    assert isinstance(pair, PairedStore)
    assert await pair.get("a/c") == b"audio"
    with pytest.raises(StoreConfigurationError):
        await names(pair)  # never a hole
    await pair.close()
