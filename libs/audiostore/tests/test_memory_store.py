from audiostore.memory_store import MemoryStore


async def test_each_one_is_private():
    one, other = MemoryStore(), MemoryStore()
    await one.put("a", b"1", content_type="", metadata={})
    assert [info async for info in other.list("")] == []


async def test_the_metadata_that_was_put_cannot_be_changed_afterwards():
    store = MemoryStore()
    metadata = {"k": "1"}
    await store.put("a", b"one", content_type="", metadata=metadata)
    metadata["k"] = "2"
    assert await store.get("a") == b"one"
    assert (await store.head("a")).metadata == {"k": "1"}


async def test_a_listing_stands_deletes():
    store = MemoryStore()
    for name in "abc":
        await store.put(name, b"", content_type="", metadata={})
    seen = []
    async for info in store.list(""):
        seen.append(info.name)
        await store.delete("b")
    assert seen == ["a", "c"]
