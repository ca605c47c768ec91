"""Whether two objects hold the same bytes."""

from dataclasses import replace

import pytest

from audiostore.errors import ChecksumError, NotFoundError, TooLargeError
from audiostore.file_store import FileStore
from audiostore.memory_store import MemoryStore
from audiostore.store import ObjectInfo
from storage_api.merging.room import Room
from storage_api.merging.sameness import Located, Sameness


class Telling(MemoryStore):
    """A store that knows what `as_told` makes of its checksums, and reads as `damaged` and `wrong_once` say."""

    def __init__(self, as_told) -> None:
        super().__init__()
        self._as_told = as_told
        self.damaged: set[str] = set()
        self.wrong_once: set[str] = set()

    async def head(self, name: str) -> ObjectInfo:
        return self._as_told(await super().head(name))

    async def get(self, name: str) -> bytes:
        if name in self.damaged or name in self.wrong_once:
            self.wrong_once.discard(name)
            raise ChecksumError(f"get {name}: other bytes")
        return await super().get(name)


TOLD = {
    "known": lambda info: info,
    "unknown": lambda info: replace(info, crc32c=None),
    "claimed": lambda info: replace(info, claimed=True),
}


@pytest.fixture(params=TOLD.values(), ids=TOLD)
def store(request) -> Telling:
    return Telling(request.param)


async def located(store: Telling, name: str, data: bytes) -> Located:
    await store.put(name, data, content_type="a/b", metadata={})
    return Located(store, replace(await store.head(name), crc32c=None))


async def test_by_size_and_contents(store):
    one = await located(store, "one", b"same")
    assert await Sameness(Room()).same(one, await located(store, "two", b"same"))
    assert not await Sameness(Room()).same(one, await located(store, "three", b"diff"))
    assert not await Sameness(Room()).same(one, await located(store, "four", b"longer"))


async def test_one_that_does_not_read_is_not_the_same_where_nothing_else_tells():
    for told in ("unknown", "claimed"):
        store = Telling(TOLD[told])
        one, two = await located(store, "one", b"same"), await located(store, "two", b"same")
        store.damaged.add("two")
        assert not await Sameness(Room()).same(one, two)


async def test_a_copy_of_what_does_not_read_need_not_read():
    store = Telling(TOLD["claimed"])
    one, two = await located(store, "one", b"same"), await located(store, "two", b"same")
    store.damaged |= {"one", "two"}
    assert await Sameness(Room()).same(one, two)
    store.damaged.discard("two")
    assert await Sameness(Room()).same(one, two)


async def test_a_damaged_copy_is_not_the_same_because_the_original_came_wrong_once():
    store = Telling(lambda info: replace(info, crc32c=7, claimed=True))
    one, two = await located(store, "one", b"same"), await located(store, "two", b"s?me")
    store.damaged |= {"one", "two"}
    assert not await Sameness(Room()).same(one, two)


@pytest.mark.parametrize("told", ["unknown", "claimed"])
async def test_a_copy_that_comes_wrong_once_is_the_same(told):
    store = Telling(TOLD[told])
    one, two = await located(store, "one", b"same"), await located(store, "two", b"same")
    for name in ("one", "two"):
        store.wrong_once.add(name)
        assert await Sameness(Room()).same(one, two), name


@pytest.mark.parametrize("told", ["unknown", "claimed"])
async def test_what_is_too_large_to_be_read_at_once_is_read_in_pieces(monkeypatch, told):
    class Large(Telling):
        """All of it is too large for one read."""

        async def get(self, name: str) -> bytes:
            raise TooLargeError(name)

    monkeypatch.setattr("storage_api.merging.sameness.PIECE_BYTES", 2)
    store = Large(TOLD[told])
    one = await located(store, "one", b"same!")
    assert await Sameness(Room()).same(one, await located(store, "two", b"same!"))
    assert not await Sameness(Room()).same(one, await located(store, "three", b"same?"))


async def test_one_that_is_gone_is_said_to_be(store):
    one, two = await located(store, "one", b"same"), await located(store, "two", b"same")
    await store.delete("two")
    with pytest.raises(NotFoundError):
        await Sameness(Room()).same(one, two)


class Unread(FileStore):
    """A folder that notes what is read of it."""

    def __init__(self, root) -> None:
        super().__init__(root)
        self.read: list[str] = []

    async def head(self, name: str) -> ObjectInfo:
        self.read.append(name)
        return await super().head(name)


async def test_a_second_name_of_a_file_is_not_read_and_another_file_is(tmp_path):
    store = Unread(tmp_path / "store")
    for name, data in (("a/one", b"same"), ("b/same", b"same"), ("b/other", b"diff")):
        await store.put(name, data, content_type="a/b", metadata={})
    await store.copy("a/one", "b/linked")
    await store.copy("b/other", "b/other-linked")
    found = {info.name: Located(store, info) async for info in store.list("")}
    assert await Sameness(Room()).same(found["a/one"], found["b/linked"])
    assert store.read == []
    assert await Sameness(Room()).same(found["a/one"], found["b/same"])
    assert store.read == ["a/one", "b/same"]
    assert not await Sameness(Room()).same(found["a/one"], found["b/other-linked"])
    await store.close()
