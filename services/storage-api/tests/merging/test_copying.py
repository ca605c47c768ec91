"""Copying inside the bucket: passes, names that are taken, two buckets, sealed objects and older formats."""

import asyncio
import dataclasses

import msgspec
import pytest
import pytest_asyncio

from audiobus import Bus, Conversation
from audiobus.errors import NotReplicatedError
from audiostore import open_store
from audiostore.errors import AlreadyExistsError, ChecksumError, NotFoundError
from audiostore.memory_store import MemoryStore
from audiostore.paired_store import PairedStore
from storage_api.merging.copying import AT_ONCE, Copying, NamesTakenError, Pass
from tapedeck_testing.bucket_servers import SERVERS

A, B = Conversation("u", "a"), Conversation("u", "b")
NAME = "1.000-2.000.batch.bin"


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


async def put(store, cid: str, data: bytes, file: str = NAME) -> None:
    await store.put(f"chunks/u/{cid}/{file}", data, content_type="a/b", metadata={"tapedeck-version": "1"})


async def held(store, cid: str = "b") -> dict[str, bytes]:
    prefix = f"chunks/u/{cid}/"
    names = [info.name async for info in store.list(prefix)]
    return {name.removeprefix(prefix): await store.get(name) for name in names}


async def one_pass(copying: Copying, source: Conversation, only: set[str] | None = None) -> Pass:
    return await copying.run(source, await copying.look(), only)


async def until_clean(copying: Copying, source: Conversation, most: int = 4) -> list[tuple[int, int]]:
    passes = []
    for _ in range(most):
        done = await one_pass(copying, source)
        passes.append((done.objects, done.copied))
        if done.clean:
            return passes
    raise AssertionError(passes)


async def test_a_second_pass_compares_what_the_first_copied(one_bus, store):
    await put(store, "a", b"one")
    assert await until_clean(Copying(one_bus, store, B), A) == [(0, 1), (1, 0)]
    assert (await store.head("chunks/u/b/" + NAME)).metadata == {"tapedeck-version": "1"}
    assert await until_clean(Copying(one_bus, store, B), A) == [(1, 0)]


async def test_other_contents_of_a_name_stay_and_a_copy_is_found_again(one_bus, store):
    await put(store, "b", b"two")
    await put(store, "b", b"six", "1.000-2.001.batch.bin")
    await put(store, "a", b"one")
    assert await until_clean(Copying(one_bus, store, B), A) == [(0, 1), (1, 0)]
    assert await held(store) == {
        NAME: b"two",
        "1.000-2.001.batch.bin": b"six",
        "1.000-2.002.batch.bin": b"one",
    }
    assert await until_clean(Copying(one_bus, store, B), A) == [(1, 0)]


class Racing(MemoryStore):
    """Somebody else is a moment earlier with a name."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._data: bytes | None = data

    async def copy(self, source: str, target: str):
        if self._data is not None:
            data, self._data = self._data, None
            await self.put(target, data, content_type="a/b", metadata={})
            raise AlreadyExistsError(f"copy {source} to {target}")
        return await super().copy(source, target)


@pytest.mark.parametrize("data", [b"one", b"two"], ids=["another process of this merge", "a pusher"])
async def test_who_is_a_moment_earlier_is_compared(one_bus, data):
    store = Racing(data)
    await put(store, "a", b"one")
    await until_clean(Copying(one_bus, store, B), A)
    assert {*(await held(store)).values()} == {b"one", data}


class Leaky(MemoryStore):
    """An object is gone when it is copied, and lies there under another name."""

    moved = False

    async def copy(self, source: str, target: str):
        if not self.moved:
            self.moved = True
            data = await self.get(source)
            await self.delete(source)
            await put(self, "a", data, "1.000-2.009.batch.bin")
            raise NotFoundError(f"copy {source}: it is not there")
        return await super().copy(source, target)


async def test_what_is_moved_meanwhile_is_looked_for_again(one_bus):
    store = Leaky()
    await put(store, "a", b"one")
    assert (await until_clean(Copying(one_bus, store, B), A))[-1] == (1, 0)
    assert await held(store) == {"1.000-2.009.batch.bin": b"one"}


async def test_a_damaged_copy_is_no_copy(one_bus, store):
    await put(store, "b", b"0ne")
    await put(store, "a", b"one")
    await until_clean(Copying(one_bus, store, B), A)
    assert {*(await held(store)).values()} == {b"0ne", b"one"}


class Claiming(MemoryStore):
    """Knows of checksums what their writers said; all that it holds is damaged."""

    async def head(self, name: str):
        return dataclasses.replace(await super().head(name), claimed=True)

    async def list(self, prefix: str, after: str = ""):
        async for info in super().list(prefix, after):
            yield dataclasses.replace(info, crc32c=None)

    async def get(self, name: str) -> bytes:
        raise ChecksumError(f"get {name}")

    async def copy(self, source: str, target: str):
        await super().copy(source, target)
        raise ChecksumError(f"copy {source} to {target}: what lies there differs, and stays")


async def test_what_is_damaged_is_copied_once(one_bus):
    store = Claiming()
    await put(store, "a", b"one")
    assert await until_clean(Copying(one_bus, store, B), A) == [(0, 1), (1, 0)]
    assert [info.name async for info in store.list("chunks/u/b/")] == ["chunks/u/b/" + NAME]


async def test_what_a_former_master_says_to_be_deleted_is_not_left_out(one_bus, store):
    await put(store, "a", b"one")
    async with Bus(one_bus.url, prefix=one_bus.keys.prefix, wait_replicas=1) as bus:
        with pytest.raises(NotReplicatedError):
            await one_pass(Copying(bus, store, B), A)


async def test_only_names_that_are_asked_for(one_bus, store):
    await put(store, "a", b"one")
    await put(store, "a", b"two", "5.000-6.000.batch.bin")
    done = await one_pass(Copying(one_bus, store, B), A, {"chunks/u/a/" + NAME})
    assert (done.copied, [*await held(store)]) == (1, [NAME])


async def test_where_no_name_is_left_it_is_an_error(one_bus, store, monkeypatch):
    monkeypatch.setattr("storage_api.merging.copy_names.TRIES", 2)
    await put(store, "b", b"two")
    await put(store, "b", b"six", "1.000-2.001.batch.bin")
    await put(store, "a", b"one")
    with pytest.raises(NamesTakenError):
        await one_pass(Copying(one_bus, store, B), A)


async def test_objects_of_both_buckets_are_copied_also_two_of_one_name(one_bus):
    first, second = MemoryStore(), MemoryStore()
    await put(first, "a", b"one")
    await put(second, "a", b"two")
    await put(second, "a", b"six", "5.000-6.000.batch.bin")
    await put(first, "a", b"ten", "7.000-8.000.batch.bin")
    await put(second, "a", b"ten", "7.000-8.000.batch.bin")
    store = PairedStore(first, second)
    await until_clean(Copying(one_bus, store, B), A)
    assert sorted((await held(store)).values()) == [b"one", b"six", b"ten", b"two"]
    assert len(await held(first)) == 4
    assert await until_clean(Copying(one_bus, store, B), A) == [(5, 0)]


async def test_what_the_target_has_in_the_second_bucket_is_not_overwritten_by_the_mover(one_bus):
    """A name that lies in the second bucket is taken: its object will be brought home under it."""
    first, second = MemoryStore(), MemoryStore()
    await put(second, "b", b"two")
    await put(first, "a", b"one")
    await until_clean(Copying(one_bus, PairedStore(first, second), B), A)
    assert await held(first) == {"1.000-2.001.batch.bin": b"one"}
    await put(first, "b", b"two")
    assert await until_clean(Copying(one_bus, PairedStore(first, second), B), A) == [(1, 0)]


@pytest.mark.parametrize("which", ["first", "second"], ids=["of the first bucket", "of the second"])
async def test_what_the_mover_brings_home_under_another_name_is_not_copied_again(one_bus, which):
    """Two of one name, in two buckets; both have been copied when the second one's comes home under a name of its own."""
    first, second = MemoryStore(), MemoryStore()
    await put(first, "a", b"one" if which == "first" else b"two")
    await put(second, "a", b"two" if which == "first" else b"one")
    copying = Copying(one_bus, PairedStore(first, second), B)
    await until_clean(copying, A)
    before = await held(first)
    assert sorted(before.values()) == [b"one", b"two"]
    await put(first, "a", await second.get("chunks/u/a/" + NAME), "1.000-2.005.batch.bin")
    await second.delete("chunks/u/a/" + NAME)
    assert await until_clean(copying, A) == [(2, 0)]
    assert await held(first) == before


async def test_the_same_in_two_sources_under_two_names_is_copied_once(one_bus, store):
    """Also in one and the same pass."""
    other = Conversation("u", "other")
    await put(store, "a", b"one")
    await put(store, "other", b"one", "1.000-2.007.batch.bin")
    await put(store, "other", b"two")
    copying = Copying(one_bus, store, B)
    for copied in (2, 0):
        target = await copying.look()
        assert sum([(await copying.run(source, target)).copied for source in (A, other)]) == copied
    assert await held(store) == {NAME: b"one", "1.000-2.001.batch.bin": b"two"}


class Together(MemoryStore):
    """Copies nothing before so many copies are under way."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._barrier = asyncio.Barrier(count)

    async def copy(self, source: str, target: str):
        async with asyncio.timeout(10):
            await self._barrier.wait()
        return await super().copy(source, target)


async def test_as_many_as_a_bucket_takes_at_once(one_bus):
    store = Together(AT_ONCE)
    for number in range(2 * AT_ONCE):
        await put(store, "a", b"%d" % number, f"{number}.000-{number + 1}.000.batch.bin")
    assert await until_clean(Copying(one_bus, store, B), A) == [(0, 2 * AT_ONCE), (2 * AT_ONCE, 0)]


async def test_redis_is_asked_by_the_pass_not_by_the_object(one_bus, store, monkeypatch):
    for number in range(50):
        await put(store, "a", b"%d" % number, f"{number}.000-{number + 1}.000.batch.bin")
    asked = []
    execute = one_bus.client.execute_command
    monkeypatch.setattr(
        one_bus.client, "execute_command", lambda *args, **kw: asked.append(args) or execute(*args, **kw)
    )
    assert (await one_pass(Copying(one_bus, store, B), A)).copied == 50
    assert len(asked) < 6


async def test_names_of_cuts_that_this_build_cannot_read_are_avoided(one_bus, store):
    """Of another version, and one that is damaged."""
    taken = [f"chunks/u/b/{NAME}", "chunks/u/b/1.000-2.001.batch.bin"]
    raw = msgspec.msgpack.encode([9, {"of": "a kind not known yet"}, taken[0]])
    await one_bus.command("HSET", one_bus.keys.conv(B), "cut", raw, "again_cut", b"\xc1" + taken[1].encode())
    await put(store, "a", b"one")
    await until_clean(Copying(one_bus, store, B), A)
    assert await held(store) == {"1.000-2.002.batch.bin": b"one"}


@pytest_asyncio.fixture
async def server_store(scheme, tmp_path, monkeypatch):
    """An empty store of this kind; a real server for those that need one."""
    if scheme == "file":
        opened = open_store(f"file://{tmp_path}/store")
        yield opened
        await opened.close()
        return
    server = SERVERS[scheme].started(tmp_path / scheme / "data")
    try:
        for name, value in server.settings().items():
            monkeypatch.setenv(name, value)
        opened = open_store(f"{scheme}://{server.make_bucket()}")
        yield opened
        await opened.close()
    finally:
        server.stop()


@pytest.mark.parametrize("scheme", ["file", "gs", "s3", "az"])
async def test_in_a_real_store(one_bus, server_store):
    store = server_store
    await put(store, "a", b"one")
    await put(store, "a", b"six", "5.000-6.000.batch.bin")
    await put(store, "b", b"two")
    assert (await until_clean(Copying(one_bus, store, B), A))[-1] == (2, 0)
    assert await held(store) == {
        NAME: b"two",
        "1.000-2.001.batch.bin": b"one",
        "5.000-6.000.batch.bin": b"six",
    }
