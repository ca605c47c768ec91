import asyncio
import base64
import random
from dataclasses import replace

import pytest

from audiostore.errors import (
    AlreadyExistsError,
    AudiostoreError,
    BadNameError,
    NotFoundError,
    StoreError,
    TooLargeError,
)
from audiostore.store import (
    MAX_METADATA_BYTES,
    MAX_OBJECT_BYTES,
    ObjectInfo,
    check_metadata,
    check_name,
    check_prefix,
    check_range,
    check_size,
    with_metadata,
)
from tapedeck_testing.file_systems import has_attributes

TYPE = "audio/ogg; codecs=opus"
BAD_NAMES = [
    "",
    "/absolute",
    "..",
    "../up",
    "a/../../b",
    "a/./b",
    "a//b",
    "a/",
    "a\0b",
    "a\nb",
    "a\\b",
    ".tmp/x",
    "a/.tmp2",
    "x" * 256,
    "/".join(["x" * 200] * 6),
    "\ud800",
]


async def put(store, name, data=b"x", metadata=None):
    return await store.put(name, data, content_type=TYPE, metadata=metadata or {})


async def names(store, prefix="", after=""):
    return [info.name async for info in store.list(prefix, after)]


async def folders(store, prefix=""):
    return [folder async for folder in store.list_folders(prefix)]


async def test_what_was_put_is_there_whole(store):
    data = bytes(range(256)) * 900
    info = await put(store, "chunks/u/c/1.000-2.000.batch.bin", data)
    assert info.name == "chunks/u/c/1.000-2.000.batch.bin"
    assert info.size == len(data)
    assert await store.get(info.name) == data
    head = await store.head(info.name)
    assert (head.name, head.size, head.crc32c) == (info.name, info.size, info.crc32c)


async def test_the_checksum_is_crc32c(store):
    # RFC 3720 B.4: 32 bytes of zeros
    info = await put(store, "zeros", bytes(32))
    assert info.crc32c == 0x8A9136AA == int.from_bytes(base64.b64decode("ipE2qg=="), "big")


async def test_metadata_is_kept_or_none(store, store_url, tmp_path):
    metadata = {"tapedeck-runs": "1:0-2@3+4", "tapedeck-source": "pcm16"}
    info = await put(store, "a/b", b"1", metadata)
    head = await store.head("a/b")
    listed = [found async for found in store.list("")]
    kept = None if store_url.startswith("file:") and not has_attributes(tmp_path) else metadata
    assert info.metadata == head.metadata == kept
    assert head.crc32c == info.crc32c
    if store_url.startswith(("memory:", "gs:")):
        assert (listed[0].metadata, listed[0].crc32c) == (metadata, info.crc32c)
    else:  # a listing would have to ask for each object
        assert (listed[0].metadata, listed[0].crc32c) == (None, None)
    assert listed[0].size == 1
    told = await with_metadata(store, [*listed, ObjectInfo("a/gone", 1, None, None)])
    quickly = not store_url.startswith(("s3:", "az:"))
    assert [one.metadata for one in told] == [kept if quickly else None, None]
    assert [replace(one, metadata=None) for one in told] == [
        replace(one, metadata=None) for one in (*listed, ObjectInfo("a/gone", 1, None, None))
    ]


@pytest.mark.parametrize("size", [2048 - 22, 2048 - 21, 4000, MAX_METADATA_BYTES])
async def test_metadata_is_kept_whole_or_told_to_be_none(store, store_url, tmp_path, size):
    metadata = {"tapedeck-sha256": "0" * 64, "tapedeck-runs": "r" * (size - 15 - 64 - 13)}
    assert sum(len(key) + len(value) for key, value in metadata.items()) == size
    info = await put(store, "a/b", b"1", metadata)
    # beside it the CRC32C takes 22 bytes where the backend keeps none itself
    limit = {"s3": 2048 - 22, "az": MAX_METADATA_BYTES - 22}.get(
        store_url.partition(":")[0], MAX_METADATA_BYTES
    )
    kept = metadata if size <= limit else None
    if store_url.startswith("file:") and info.metadata is None:  # what there is room for is the file system's
        assert size > 4000 - 100 or not has_attributes(tmp_path)
        kept = None
    assert info.metadata == (await store.head("a/b")).metadata == kept
    copied = await store.copy("a/b", "a/c")
    # From one store into another goes what is known.
    assert (copied.metadata or None, copied.crc32c) == (info.metadata, info.crc32c)
    assert (await store.head("a/c")).metadata == copied.metadata
    assert await store.get("a/b") == await store.get("a/c") == b"1"


async def test_an_empty_object_is_an_object(store):
    await put(store, "empty", b"")
    assert await store.get("empty") == b""
    assert await store.get_range("empty", 0, 10) == b""
    assert await store.get_range("empty", 5, 10) == b""
    assert ((await store.head("empty")).size, (await store.head("empty")).crc32c) == (0, 0)
    assert (await store.copy("empty", "too")).size == 0
    assert await names(store) == ["empty", "too"]
    with pytest.raises(AlreadyExistsError):
        await put(store, "empty", b"x")


async def test_the_largest_object_is_whole(plain_store):
    data = random.Random(1).randbytes(1 << 20) * (MAX_OBJECT_BYTES >> 20)
    assert (await put(plain_store, "large", data)).size == MAX_OBJECT_BYTES
    assert await plain_store.get("large") == data
    assert await plain_store.get_range("large", MAX_OBJECT_BYTES - 5, MAX_OBJECT_BYTES) == data[-5:]
    with pytest.raises(TooLargeError):
        await put(plain_store, "larger", data + b"x")
    assert await names(plain_store) == ["large"]


@pytest.mark.parametrize(
    "name",
    [
        "u@x/c-1/1.000-2.000.batch.bin",
        "a b/c  d",
        "percent/%41/100%/a%2Fb",
        "marks/#?&+=~'()[]{}*^|<>\"`:;,!$",
        "é/e\u0301",
        "日本/😀",
        "dots/..a/b..c/d.",
        "s" * 255 + "/" + "t" * 255,
    ],
)
async def test_odd_names_are_kept_as_they_are(store, name):
    await put(store, name, b"odd")
    assert await store.get(name) == b"odd"
    assert (await store.head(name)).name == name
    assert await names(store) == [name]
    assert await names(store, name[: len(name) // 2]) == [name]
    assert await names(store, "", name) == []
    first = name[: name.index("/") + 1]
    assert await folders(store) == [first]
    await store.copy(name, f"copied/{name}")
    await store.delete(name)
    assert await names(store) == [f"copied/{name}"]
    assert await store.get_range(f"copied/{name}", 1, 3) == b"dd"


async def test_a_taken_name_is_refused_and_left_alone(store):
    await put(store, "a", b"first")
    for data in (b"second", b"first"):
        with pytest.raises(AlreadyExistsError) as caught:
            await put(store, "a", data)
        assert not caught.value.retryable
    assert await store.get("a") == b"first"


async def test_of_many_puts_at_once_exactly_one_wins(store):
    contents = [f"writer {number}".encode() * 1000 for number in range(12)]
    results = await asyncio.gather(
        *(put(store, "u/c/one", data) for data in contents), return_exceptions=True
    )
    winners = [
        data for data, result in zip(contents, results, strict=True) if not isinstance(result, Exception)
    ]
    assert len(winners) == 1
    assert all(isinstance(result, AlreadyExistsError) for result in results if isinstance(result, Exception))
    assert await store.get("u/c/one") == winners[0]
    assert await names(store) == ["u/c/one"]


@pytest.mark.without("gs", why="fake-gcs-server ignores the precondition of rewrites, which Google honours")
async def test_of_many_copies_at_once_exactly_one_wins(store):
    for number in range(6):
        await put(store, f"from/{number}", f"source {number}".encode())
    copies = (store.copy(f"from/{number}", "to/one") for number in range(6))
    results = await asyncio.gather(*copies, return_exceptions=True)
    winners = [number for number, result in enumerate(results) if not isinstance(result, Exception)]
    assert len(winners) == 1
    assert all(isinstance(result, AlreadyExistsError) for result in results if isinstance(result, Exception))
    assert await store.get("to/one") == f"source {winners[0]}".encode()


async def test_ranges_end_where_the_object_ends(store):
    await put(store, "r", b"0123456789")
    assert await store.get_range("r", 0, 4) == b"0123"
    assert await store.get_range("r", 4, 10) == b"456789"
    assert await store.get_range("r", 8, 100) == b"89"
    assert await store.get_range("r", 10, 20) == b""
    assert await store.get_range("r", 50, 60) == b""
    for start, end in ((5, 5), (6, 5), (-1, 5), (0, MAX_OBJECT_BYTES + 1)):
        with pytest.raises(BadNameError):
            await store.get_range("r", start, end)


async def test_what_is_not_there_is_not_found(store):
    await put(store, "here/x")
    for name in ("there", "here", "here/x/y"):
        for reading in (
            store.get(name),
            store.get_range(name, 0, 1),
            store.head(name),
            store.copy(name, "new"),
        ):
            with pytest.raises(NotFoundError) as caught:
                await reading
            assert name in str(caught.value)
    assert await names(store) == ["here/x"]


async def test_listing_is_in_name_order_by_prefix_and_after(store):
    # "-" and "." sort before "/", and letters after: full names count, not folders
    every = ["a", "a-b/x", "a.b", "a/b", "a/b-c/1", "a/b/c", "a/c", "a0", "b/z", "b/é"]
    for name in (n for n in reversed(every) if n not in {"a", "a/b"}):
        await put(store, name)
    every = [n for n in every if n not in {"a", "a/b"}]
    assert await names(store) == every
    assert await names(store, "a/") == ["a/b-c/1", "a/b/c", "a/c"]
    assert await names(store, "a/b") == ["a/b-c/1", "a/b/c"]
    assert await names(store, "a/b/") == ["a/b/c"]
    assert await names(store, "nothing/") == []
    for number, name in enumerate(every):
        assert await names(store, "", name) == every[number + 1 :]
    assert await names(store, "a/", "a/b") == ["a/b-c/1", "a/b/c", "a/c"]
    assert await names(store, "a/", "a/b/") == ["a/b/c", "a/c"]
    assert await names(store, "a/", "b") == []
    assert await names(store, "b", "a") == ["b/z", "b/é"]


async def test_listing_goes_on_over_pages(store, monkeypatch):
    for module in ("file_store", "gcs_listing", "gcs_store", "obstore_listing", "paired_store"):
        monkeypatch.setattr(f"audiostore.{module}.PAGE_OBJECTS", 3)
    every = [f"u/c{number // 4}/{number:03d}" for number in range(11)]
    await asyncio.gather(*(put(store, name) for name in every))
    assert await names(store, "u/") == every
    assert await names(store, "u/", every[4]) == every[5:]
    assert await folders(store, "u/") == ["u/c0/", "u/c1/", "u/c2/"]


async def test_a_long_listing_is_in_order(plain_store, store_url):
    count = 1100 if store_url.startswith(("gs:", "az:")) else 2500  # both take milliseconds for each
    every = [f"u/c{number // 500}/{number:04d}" for number in range(count)]
    for batch in range(0, count, 50):
        await asyncio.gather(*(put(plain_store, name) for name in reversed(every[batch : batch + 50])))
    assert await names(plain_store) == every
    assert await names(plain_store, "u/c1/") == every[500:1000]
    assert await names(plain_store, "u/c", every[1020]) == every[1021:]
    assert await folders(plain_store, "u/") == [f"u/c{number}/" for number in range((count + 499) // 500)]
    async for _info in plain_store.list("u/"):
        break  # a reader may leave at any time


async def test_folders_are_named_once_in_order(store):
    for name in (
        "chunks/u/c1/1",
        "chunks/u/c1/2",
        "chunks/u/c1-2/1",
        "chunks/u/c0/deep/1",
        "chunks/u/file",
        "chunks/v/c/1",
    ):
        await put(store, name)
    assert await folders(store, "chunks/u/") == ["chunks/u/c0/", "chunks/u/c1-2/", "chunks/u/c1/"]
    assert await folders(store, "chunks/") == ["chunks/u/", "chunks/v/"]
    assert await folders(store, "chunks/u/c1") == ["chunks/u/c1-2/", "chunks/u/c1/"]
    assert await folders(store) == ["chunks/"]
    assert await folders(store, "nobody/") == []


async def test_delete_takes_away_and_missing_is_fine(store):
    await put(store, "u/c/1")
    await put(store, "u/d/1")
    await store.delete("u/c/1")
    await store.delete("u/c/1")
    await store.delete("never/was")
    await store.delete("u/d")
    assert await names(store) == ["u/d/1"]
    assert await folders(store, "u/") == ["u/d/"]
    await put(store, "u/c/1", b"again")
    assert await store.get("u/c/1") == b"again"


async def test_copy_keeps_bytes_and_metadata_and_never_overwrites(store):
    metadata = {"tapedeck-sha256": "00"}
    original = await put(store, "u/c/1", b"audio", metadata)
    copied = await store.copy("u/c/1", "u/d/1")
    assert (copied.name, copied.size, copied.crc32c) == ("u/d/1", 5, original.crc32c)
    assert copied.metadata == original.metadata
    assert await store.head("u/d/1") == copied
    await put(store, "u/d/2", b"other")
    for target in ("u/d/1", "u/d/2", "u/c/1"):
        with pytest.raises(AlreadyExistsError):
            await store.copy("u/c/1", target)
    assert await store.get("u/d/2") == b"other"
    await store.delete("u/c/1")
    assert await store.get("u/d/1") == b"audio"


@pytest.mark.parametrize("name", BAD_NAMES)
async def test_names_that_lead_out_of_the_store_are_refused(store, name):
    await put(store, "inside")
    for attempt in (
        put(store, name),
        store.get(name),
        store.get_range(name, 0, 1),
        store.head(name),
        store.delete(name),
        store.copy("inside", name),
        store.copy(name, "target"),
    ):
        with pytest.raises(BadNameError):
            await attempt
    if name not in {
        "",
        "a/",
        "..",
        "a/.tmp2",
        "x" * 256,
    }:  # these may be the beginning of a good name, or of none
        with pytest.raises(BadNameError):
            await names(store, name)
    assert await names(store) == ["inside"]


async def test_what_is_too_large_is_refused_before_it_moves(store, monkeypatch):
    monkeypatch.setattr("audiostore.store.MAX_OBJECT_BYTES", 100)
    await put(store, "fits", bytes(100))
    with pytest.raises(TooLargeError):
        await put(store, "large", bytes(101))
    monkeypatch.setattr("audiostore.store.MAX_OBJECT_BYTES", 99)
    with pytest.raises(TooLargeError):
        await store.get("fits")
    assert await store.get_range("fits", 0, 50) == bytes(50)


async def test_metadata_that_no_bucket_takes_is_refused(store):
    for metadata in (
        {"Upper": "1"},
        {"": "1"},
        {"k": "x" * 9000},
        {"ä": "1"},
        {"under_score": "1"},
        {"-k": "1"},
        {"1k": "1"},
        {"content-crc32c": "00000000"},
        {"k": ""},
        {"k": "ä"},
        {"k": " edge"},
        {"k": "two  spaces"},
        {"k": "a\nb"},
    ):
        with pytest.raises(BadNameError):
            await put(store, "m", b"1", metadata)
    assert await names(store) == []


def test_limits_are_checked_without_a_store():
    assert check_name("chunks/u@x/c-1/1.000-2.000.batch.bin")
    assert check_prefix("") == ""
    assert check_prefix("chunks/u") == "chunks/u"
    assert check_metadata({"a-b1": "one two"}) == {"a-b1": "one two"}
    check_range("n", 0, 1)
    check_size("n", MAX_OBJECT_BYTES)
    for bad in ("../", "a/../", "/", "a//"):
        with pytest.raises(BadNameError):
            check_prefix(bad)
    assert issubclass(TooLargeError, StoreError)
    assert issubclass(StoreError, AudiostoreError)
