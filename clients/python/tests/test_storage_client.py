import os

import pytest

from tapedeck.errors import ChangedError, NotFoundError, StorageError
from tapedeck.storage_client import AudioRequest, StorageClient
from tapedeck.storage_types import Chunk, Gap

AUDIO = os.urandom(300_000)
BASE = "/v1/users/u/conversations"


async def read(download):
    return b"".join([part async for part in download.body])


async def test_pages_are_followed_to_the_end(storage_stand_in):
    storage_stand_in.answers = {
        f"{BASE}?page_size=2": (
            200,
            {
                "conversations": [{"conversation_id": "a", "live": True}, {"conversation_id": "b"}],
                "next_page_token": "t&1",
            },
        ),
        f"{BASE}?page_size=2&page_token=t%261": (
            200,
            {"conversations": [{"conversation_id": "c", "new_field": 1}], "next_page_token": None},
        ),
    }
    async with StorageClient(storage_stand_in.url, "secret") as client:
        found = [c.conversation_id async for c in client.conversations("u", page_size=2)]
    assert found == ["a", "b", "c"]
    assert storage_stand_in.requests[0][1]["Authorization"] == "Bearer secret"


async def test_one_conversation_its_chunks_and_a_flush(storage_stand_in):
    chunk = {
        "timestamp": "1.000",
        "start": "s",
        "end": "e",
        "duration_ms": 1000,
        "path": None,
        "size": None,
        "state": "live",
    }
    storage_stand_in.answers = {
        f"{BASE}/c%2Fd": (200, {"conversation_id": "c/d", "recorded_seconds": 1.5}),
        f"{BASE}/c/chunks": (
            200,
            {"chunks": [chunk], "gaps": [{"start": "e", "end": "f", "duration_ms": 5}]},
        ),
        f"{BASE}/c:flush": (200, {"stored_seconds": 2.5}),
    }
    async with StorageClient(storage_stand_in.url, "t") as client:
        assert (await client.conversation("u", "c/d")).recorded_seconds == 1.5
        parts = [part async for part in client.chunks("u", "c")]
        assert await client.flush("u", "c") == 2.5
    assert [type(part) for part in parts] == [Chunk, Gap]
    assert parts[0].path is None


async def test_problems_become_errors_that_say_what_to_do(storage_stand_in):
    storage_stand_in.answers = {
        f"{BASE}/x:flush": (504, {"title": "Late", "code": "flush_timeout"}),
        BASE: (502, b"<html>"),
    }
    async with StorageClient(storage_stand_in.url, "t") as client:
        with pytest.raises(NotFoundError, match=r"no such thing \(request r-1\)") as missing:
            await client.conversation("u", "c")
        with pytest.raises(StorageError, match="Late") as late:
            await client.flush("u", "x")
        with pytest.raises(StorageError, match="HTTP 502"):
            [c async for c in client.conversations("u")]
    assert "tapedeck ls" in missing.value.hint
    assert (late.value.status, late.value.code) == (504, "flush_timeout")


async def test_an_answer_of_another_kind_is_an_error(storage_stand_in):
    storage_stand_in.answers = {f"{BASE}/c": (200, b"[]")}
    async with StorageClient(storage_stand_in.url, "t") as client:
        with pytest.raises(StorageError, match="something else than a Conversation"):
            await client.conversation("u", "c")


async def test_nobody_there(unused_tcp_port):
    async with StorageClient(f"http://127.0.0.1:{unused_tcp_port}", "t") as client:
        with pytest.raises(StorageError, match="does not answer") as caught:
            await client.conversation("u", "c")
        assert "tapedeck up" in caught.value.hint
        with pytest.raises(StorageError, match="does not answer"):
            await client.download("u", "c")


async def test_a_download_streams_and_tells_its_facts(storage_stand_in):
    storage_stand_in.audio = AUDIO
    async with StorageClient(storage_stand_in.url, "t") as client:
        found = await client.download("u", "c", AudioRequest("wav", start="1", fill_gaps=False))
        assert await read(found) == AUDIO
    assert (found.total_bytes, found.etag, found.offset, found.missing) == (len(AUDIO), '"one"', 0, 0)
    assert storage_stand_in.requests[0][0].endswith("?format=wav&fill_gaps=false&start=1")


async def test_a_broken_download_goes_on_where_it_broke(storage_stand_in):
    storage_stand_in.audio = AUDIO
    storage_stand_in.breaks = [100_000, 1, 150_000]
    async with StorageClient(storage_stand_in.url, "t") as client:
        assert await read(await client.download("u", "c")) == AUDIO
    assert len(storage_stand_in.requests) == 4
    assert storage_stand_in.requests[1][1]["If-Range"] == '"one"'


async def test_a_broken_download_of_something_that_changed_is_an_error(storage_stand_in):
    storage_stand_in.audio = AUDIO
    storage_stand_in.breaks = [100_000]
    storage_stand_in.after_break = lambda: setattr(storage_stand_in, "etag", '"two"')
    async with StorageClient(storage_stand_in.url, "t") as client:
        found = await client.download("u", "c")
        with pytest.raises(ChangedError):
            await read(found)


@pytest.mark.parametrize(("etag", "ranges"), [('W/"weak"', True), (None, True), ('"one"', False)])
async def test_where_nothing_can_be_resumed_a_break_is_an_error(storage_stand_in, etag, ranges):
    storage_stand_in.audio, storage_stand_in.etag, storage_stand_in.ranges = AUDIO, etag, ranges
    storage_stand_in.breaks = [100_000]
    async with StorageClient(storage_stand_in.url, "t") as client:
        found = await client.download("u", "c")
        with pytest.raises(StorageError, match="does not answer"):
            await read(found)


async def test_a_later_client_goes_on_with_an_offset(storage_stand_in):
    storage_stand_in.audio = AUDIO
    async with StorageClient(storage_stand_in.url, "t") as client:
        found = await client.download("u", "c", offset=200_000, etag='"one"')
        assert (found.offset, found.total_bytes) == (200_000, len(AUDIO))
        assert await read(found) == AUDIO[200_000:]
        again = await client.download("u", "c", offset=200_000, etag='"old"')
        assert (again.offset, await read(again)) == (0, AUDIO)
        beyond = await client.download("u", "c", offset=len(AUDIO), etag='"one"')
        assert (beyond.offset, await read(beyond)) == (0, AUDIO)
