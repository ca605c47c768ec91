"""Two stores that look like one: what the second has, which is asked first, and what is moved home under a reader's eyes.

The whole behaviour of a store is run over a pair in `test_store.py`.
"""

import pytest

from audiostore import open_store, open_stores
from audiostore.errors import AlreadyExistsError, NotFoundError, TransientStoreError
from audiostore.file_store import FileStore
from audiostore.memory_store import MemoryStore
from audiostore.names import BatchName
from audiostore.paired_store import PairedStore, content_type_of, copy_over
from audiostore.store import with_metadata
from tapedeck_testing.file_systems import has_attributes

TYPE = "audio/ogg; codecs=opus"


async def put(store, name, data=b"x", metadata=None):
    return await store.put(name, data, content_type=TYPE, metadata=metadata or {})


async def names(store, prefix="", after=""):
    return [info.name async for info in store.list(prefix, after)]


@pytest.fixture
def first():
    return MemoryStore()


@pytest.fixture
def second():
    return MemoryStore()


@pytest.fixture
def pair(first, second):
    return PairedStore(first, second)


class Away:
    """A store of which nothing works."""

    def __getattr__(self, name):
        async def fails(*_args, **_kwargs):
            raise TransientStoreError("away")

        async def fails_to_list(*_args, **_kwargs):
            raise TransientStoreError("away")
            yield

        return fails_to_list if name.startswith("list") else fails


async def move_home(first, second, name):
    await copy_over(second, first, name, name)
    await second.delete(name)


async def test_either_tells_the_metadata_of_what_it_listed(tmp_path):
    first, second = FileStore(tmp_path / "first"), FileStore(tmp_path / "second")
    await put(first, "u/c/1", metadata={"a": "1"})
    await put(second, "u/c/2", metadata={"a": "2"})
    await put(first, "u/c/3", metadata={"a": "3"})
    pair = PairedStore(first, second)
    listed = [info async for info in pair.list("u/")]
    heads = [(await pair.head(info.name)).metadata for info in listed]
    told = await with_metadata(pair, listed)
    assert [info.name for info in told] == ["u/c/1", "u/c/2", "u/c/3"]
    assert [info.metadata for info in told] == heads
    if has_attributes(tmp_path):
        assert heads == [{"a": "1"}, {"a": "2"}, {"a": "3"}]
    await pair.close()


async def test_what_both_have_is_there_once_and_the_firsts_counts(pair, first, second):
    await put(first, "u/c/1", b"first")
    await put(second, "u/c/1", b"second")
    await put(second, "u/c/2", b"only here", {"k": "v"})
    listed = [info async for info in pair.list("u/")]
    assert [info.name for info in listed] == ["u/c/1", "u/c/2"]
    assert [info.size for info in listed] == [5, 9]
    assert [info.beside.size if info.beside else None for info in listed] == [6, None]
    assert await pair.get("u/c/1") == b"first"
    assert (await pair.head("u/c/2")).metadata == {"k": "v"}
    assert await pair.get_range("u/c/2", 5, 9) == b"here"
    assert [folder async for folder in pair.list_folders("u/")] == ["u/c/"]


async def test_nothing_is_ever_written_to_the_second(pair, first, second):
    await put(pair, "a")
    await put(second, "b", b"b", {"k": "v"})
    copied = await pair.copy("b", "c")
    assert copied.metadata == {"k": "v"}
    assert await names(first) == ["a", "c"]
    assert await names(second) == ["b"]
    with pytest.raises(AlreadyExistsError):
        await put(pair, "b", b"other")
    with pytest.raises(AlreadyExistsError):
        await pair.copy("a", "b")


async def test_a_delete_takes_it_from_both(pair, first, second):
    await put(first, "a")
    await put(second, "a")
    await pair.delete("a")
    assert await names(first) == await names(second) == []


async def test_a_delete_that_breaks_off_leaves_nothing_that_could_come_back(second):
    """The second goes first: what is deleted in the first alone would be moved home again."""
    await put(second, "a")
    with pytest.raises(TransientStoreError):
        await PairedStore(Away(), second).delete("a")
    assert await names(second) == []


async def test_a_store_that_cannot_be_asked_leaves_no_silent_hole(first, second):
    await put(first, "a", b"a")
    await put(second, "b", b"b")
    for pair in (PairedStore(first, Away()), PairedStore(Away(), second)):
        with pytest.raises(TransientStoreError):
            await names(pair)
        with pytest.raises(TransientStoreError):
            [folder async for folder in pair.list_folders("")]
        with pytest.raises(TransientStoreError):
            await pair.get("c")
    # What can be read is read.
    assert await PairedStore(first, Away()).get("a") == b"a"
    assert await PairedStore(Away(), second).get("b") == b"b"


async def test_what_is_moved_home_between_two_looks_is_found(first, second):
    pair = PairedStore(first, second)
    await put(second, "a", b"a")
    home = second.get

    async def moved_before(name):
        second.get = home
        await move_home(first, second, name)
        return await home(name)

    second.get = moved_before
    assert await pair.get("a") == b"a"
    with pytest.raises(NotFoundError):
        await pair.get("never")


@pytest.mark.parametrize("page", [1, 2, 3, 1000])
@pytest.mark.parametrize("seed", range(8))
async def test_a_listing_while_all_is_moved_home_leaves_nothing_out(first, second, monkeypatch, page, seed):
    """After each name that a reader gets some objects are moved home: whatever was there all the time is listed, once, in order."""
    monkeypatch.setattr("audiostore.paired_store.PAGE_OBJECTS", page)
    every = [f"u/c/{number:02d}" for number in range(20)]
    away = [name for number, name in enumerate(every) if (seed >> (number % 3)) & 1]
    for name in every:
        await put(second if name in away else first, name)
    waiting = list(away)
    first_list = first.list

    async def in_pages(prefix, after=""):
        """As a bucket lists: a page is a picture of one moment."""
        while True:
            found = [info async for info in first_list(prefix, after)][:4]
            for info in found:
                yield info
            if not found:
                return
            after = found[-1].name

    first.list = in_pages
    seen = []
    async for info in PairedStore(first, second).list("u/"):
        seen.append(info.name)
        for name in waiting[-2:]:
            await move_home(first, second, name)
        del waiting[-2:]
    assert seen == every


async def test_a_copy_from_one_store_to_the_other_is_create_only_and_keeps_what_is_known(first, second):
    name = BatchName("u", "c", 1000, 2000, sealed=True).path
    await put(second, name, b"sealed", {"tapedeck-runs": "1:0-2@3+4"})
    info = await copy_over(second, first, name, name)
    assert (info.size, info.metadata) == (6, {"tapedeck-runs": "1:0-2@3+4"})
    assert first._objects[name].content_type == content_type_of(name) == "application/octet-stream"
    with pytest.raises(AlreadyExistsError):
        await copy_over(second, first, name, name)
    with pytest.raises(NotFoundError):
        await copy_over(second, first, "missing", "missing")
    assert content_type_of(BatchName("u", "c", 1, 2).path) == TYPE


async def test_it_is_opened_from_two_addresses(tmp_path):
    one, other = f"file://{tmp_path}/one", f"file://{tmp_path}/other"
    behind = open_store(other)
    await put(behind, "a", b"a")
    pair = open_stores(one, other)
    assert await pair.get("a") == b"a"
    await pair.close()
    await behind.close()
    alone = open_stores(one, None)
    assert await names(alone) == []
    await alone.close()
