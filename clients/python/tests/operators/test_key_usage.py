"""What is counted, on a store with everything in it."""

import pytest

from audiostore import open_store
from audiostore.key_ring import KeyRing
from audiostore.sealing import seal
from tapedeck.operators.key_usage import AT_ONCE, MOST_NAMED, Usage, look


def sealed(key_id, uid="u", data=b"sound"):
    return seal(data, KeyRing({key_id: key_id.encode().ljust(32)}), uid)


def name(number, cid="c", uid="u", kind="batch.enc"):
    return f"chunks/{uid}/{cid}/{1_700_000_000 + number}.000-{1_700_000_060 + number}.000.{kind}"


@pytest.fixture
async def store():
    store = open_store("memory:")
    yield store
    await store.close()


async def put(store, name, data):
    await store.put(name, data, content_type="application/octet-stream", metadata={})


async def test_keys_are_counted_with_their_oldest_and_newest_objects(store):
    await put(store, name(5, cid="z"), sealed("k1"))
    await put(store, name(9, cid="a"), sealed("k1"))
    await put(store, name(1, cid="b"), sealed("k1"))
    await put(store, name(7), sealed("k2"))
    usage = await look(store, lambda _count: None)
    assert usage.keys.keys() == {"k1", "k2"}
    one = usage.keys["k1"]
    assert (one.objects, one.oldest, one.newest) == (3, name(1, cid="b"), name(9, cid="a"))
    assert usage.keys["k2"].oldest == usage.keys["k2"].newest == name(7)
    assert (usage.sealed, usage.damaged, usage.older) == (4, 0, Usage())


async def test_what_is_not_sealed_is_not_counted(store):
    for other in (
        name(0, kind="batch.bin"),
        "chunks/u/c/1700000000.000.opus",
        "chunks/u/c/readme.enc",
        "x.enc",
    ):
        await put(store, other, b"OggS")
    assert (await look(store, lambda _count: None)).sealed == 0


async def test_older_formats_have_one_secret(store):
    for older in ("1700000003.000.enc", "1700000002.000.opus.enc", "1700000001.000.batch.enc"):
        await put(store, f"chunks/u/c/{older}", bytes(100))
    await put(store, name(0), bytes(100))
    usage = await look(store, lambda _count: None)
    assert (usage.older.objects, usage.sealed, usage.keys) == (4, 4, {})
    assert (usage.older.oldest, usage.older.newest) == (name(0), "chunks/u/c/1700000003.000.enc")


async def test_damaged_headers_are_counted_and_named_as_far_as_it_helps(store):
    for number in range(MOST_NAMED + 5):
        await put(store, name(number), b"TDSEAL01\x00")
    usage = await look(store, lambda _count: None)
    assert (usage.damaged, len(usage.damaged_names), usage.sealed) == (
        MOST_NAMED + 5,
        MOST_NAMED,
        MOST_NAMED + 5,
    )


async def test_what_is_deleted_meanwhile_is_no_trouble_and_progress_is_told(store):
    for number in range(AT_ONCE + 3):
        await put(store, name(number), sealed("k1"))

    class Deletes:
        def __getattr__(self, attribute):
            return getattr(store, attribute)

        async def get_range(self, path, start, end):
            if path == name(1):
                await store.delete(path)
            return await store.get_range(path, start, end)

    told = []
    usage = await look(Deletes(), told.append)
    assert usage.keys["k1"].objects == AT_ONCE + 2
    assert told == [AT_ONCE - 1, AT_ONCE + 2]
