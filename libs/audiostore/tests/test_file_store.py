import asyncio
import random
from contextlib import suppress

import pytest

from audiostore.errors import AlreadyExistsError, BadNameError, StoreError
from audiostore.file_store import FileStore


@pytest.fixture
async def stores(tmp_path):
    """Two stores over one folder, as two processes have them."""
    opened = [FileStore(tmp_path / "store") for _ in range(2)]
    yield opened
    for store in opened:
        await store.close()


async def put(store, name, data=b"x"):
    return await store.put(name, data, content_type="", metadata={})


async def test_of_two_stores_over_one_folder_one_wins(stores):
    attempts = [put(stores[number % 2], f"u/{number // 2}", bytes([number])) for number in range(40)]
    results = await asyncio.gather(*attempts, return_exceptions=True)
    for number in range(20):
        pair = results[2 * number : 2 * number + 2]
        assert sum(isinstance(result, AlreadyExistsError) for result in pair) == 1
        assert sum(not isinstance(result, Exception) for result in pair) == 1


async def test_puts_and_deletes_of_the_last_object_of_a_folder_do_not_meet(stores):
    # A delete prunes the folder that a put is about to use.
    for number in range(30):
        await put(stores[0], f"u/c/{number}")
        results = await asyncio.gather(
            stores[0].delete(f"u/c/{number}"), put(stores[1], f"u/c/{number + 1000}"), return_exceptions=True
        )
        assert not [result for result in results if isinstance(result, BaseException)]
        await stores[1].delete(f"u/c/{number + 1000}")
    assert [info async for info in stores[0].list("")] == []


async def test_a_listing_stands_objects_that_come_and_go(stores):
    for number in range(50):
        await put(stores[0], f"u/c{number:02d}/1")
    seen = []
    async for info in stores[0].list("u/"):
        seen.append(info.name)
        if len(seen) == 1:
            for number in range(10, 20):
                await stores[1].delete(f"u/c{number}/1")
    assert len(seen) in range(40, 51)
    assert seen == sorted(seen)


async def test_temporary_files_are_not_listed(stores, tmp_path):
    (tmp_path / "store/.tmp/half").write_bytes(b"half")
    await put(stores[0], "a")
    assert [info.name async for info in stores[0].list("")] == ["a"]
    assert [folder async for folder in stores[0].list_folders("")] == []


@pytest.mark.parametrize("seed", range(8))
async def test_any_names_are_listed_in_order_from_any_place(stores, monkeypatch, seed):
    """Names around the slash: what sorts between a folder's name and those of the files in it."""
    chance = random.Random(seed)
    monkeypatch.setattr("audiostore.file_store.PAGE_OBJECTS", chance.randint(1, 9))
    names = set()
    for _ in range(40):
        parts = [
            "".join(chance.choices("ab-.0!", k=chance.randint(1, 3))) for _ in range(chance.randint(1, 3))
        ]
        name = "/".join(parts)
        # Some are no names, some lie below a file.
        with suppress(StoreError):
            await put(stores[0], name)
            names.add(name)
    for _ in range(100):
        prefix, after = (chance.choice([*names, ""])[: chance.randint(0, 6)] for _ in range(2))
        after = chance.choice([after, chance.choice([*names])])
        with suppress(BadNameError):
            listed = [info.name async for info in stores[1].list(prefix, after)]
            assert listed == sorted(name for name in names if name.startswith(prefix) and name > after)
