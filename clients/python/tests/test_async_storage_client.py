"""The asyncio client: the same plans, by its own driver."""

import asyncio
import inspect
import os
import threading

import httpx
import pytest

from tapedeck import AsyncStorageClient, AudioRequest, Retries, StorageClient
from tapedeck.errors import ClientSetupError, NotFoundError, StorageAwayError
from tapedeck.storage.awaiting import _in_thread
from tapedeck.storage.method import Method

AUDIO = os.urandom(300_000)
BASE = "/v1/users/u/conversations"
CONVERSATION = {"conversation_id": "c", "start": "2026-11-21T00:00:00Z", "end": "2026-11-21T00:00:01Z"}
QUICK = Retries(times=1, resumes=4, first_pause_s=0.001, longest_pause_s=0.001, refused_for_s=0)


@pytest.fixture
async def client(storage_stand_in):
    storage_stand_in.audio = AUDIO
    async with AsyncStorageClient(storage_stand_in.url, token="secret", retries=QUICK, timeout=5) as client:
        yield client


def test_both_clients_have_the_same_methods():
    def methods(kind):
        found = {name: value for name, value in vars(kind).items() if isinstance(value, Method)}
        return {name: method.__wrapped__ for name, method in found.items()}

    assert methods(StorageClient) == methods(AsyncStorageClient)
    assert len(methods(StorageClient)) == 25
    assert "Newest first" in inspect.getdoc(StorageClient.conversations).replace("newest", "Newest")
    for name, made in methods(StorageClient).items():
        assert made.__doc__, name


async def test_answers_and_pages(storage_stand_in, client):
    storage_stand_in.answers = {
        f"{BASE}/c": [(-3, CONVERSATION), (200, CONVERSATION)],
        f"{BASE}?page_size=1": (200, {"conversations": [CONVERSATION], "next_page_token": "n"}),
        f"{BASE}?page_size=1&page_token=n": (200, {"conversations": []}),
    }
    assert (await client.conversation("u", "c")).conversation_id == "c"
    assert [c.conversation_id async for c in client.conversations("u", page_size=1)] == ["c"]
    assert len([page async for page in client.conversations("u", page_size=1).pages()]) == 2
    with pytest.raises(NotFoundError):
        await client.conversation("u", "d")
    assert "secret" not in repr(client)


async def test_downloads_resume(storage_stand_in, client, tmp_path):
    target = tmp_path / "a.ogg"
    storage_stand_in.breaks = [100_000, 10]
    found = await client.download_audio("u", "c", target)
    assert (found.bytes, target.read_bytes()) == (len(AUDIO), AUDIO)
    storage_stand_in.breaks = [100_000]
    assert (await client.audio("u", "c", AudioRequest("pcm"))).content == AUDIO
    storage_stand_in.breaks = [100_000]
    async with client.stream_audio("u", "c", offset=10, etag='"one"') as stream:
        assert b"".join([part async for part in stream]) == AUDIO[10:]


async def test_a_hanging_server_and_a_cancelled_call_leave_nothing_behind(storage_stand_in, client, tmp_path):
    storage_stand_in.answers = {f"{BASE}/c": (None, b"")}
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await client.conversation("u", "c")
    going, told = asyncio.Event(), []

    def watch(done, _):
        told.append(done)
        going.set()

    storage_stand_in.after_break = None
    running = asyncio.create_task(client.download_audio("u", "c", tmp_path / "a.ogg", progress=watch))
    await going.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not (tmp_path / "a.ogg").exists()
    pool = client.driver.http._transport._pool
    assert not [connection for connection in pool.connections if not connection.is_idle()]
    await client.download_audio("u", "c", tmp_path / "a.ogg")  # nobody holds the part any more
    assert (tmp_path / "a.ogg").read_bytes() == AUDIO


async def test_a_client_that_was_given_stays_open(storage_stand_in):
    storage_stand_in.answers = {f"{BASE}/c": (200, CONVERSATION)}
    async with httpx.AsyncClient() as http:
        for _ in range(2):
            async with AsyncStorageClient(storage_stand_in.url, "t", http=http) as client:
                await client.conversation("u", "c")


async def test_a_client_that_is_closed_says_so(storage_stand_in):
    client = AsyncStorageClient(storage_stand_in.url, "t")
    await client.aclose()
    with pytest.raises(ClientSetupError, match="closed"):
        await client.conversation("u", "c")


async def test_a_text_is_not_taken_for_its_letters(storage_stand_in, client):
    with pytest.raises(TypeError, match="sources are several"):
        await client.merge("u", "ab", "x")
    with pytest.raises(TypeError, match="timestamps are several"):
        await client.delete_chunks("u", "c", "1795343001")
    assert not storage_stand_in.requests


async def test_what_had_come_to_its_end_is_not_sent_again(storage_stand_in, client):
    storage_stand_in.audio = AUDIO
    async with client.stream_audio("u", "c", offset=len(AUDIO), etag='"one"') as stream:
        assert [part async for part in stream] == []
        assert stream.offset == len(AUDIO)


async def test_a_server_that_never_answers(storage_stand_in):
    storage_stand_in.answers = {f"{BASE}/c": (None, b"")}
    async with AsyncStorageClient(
        storage_stand_in.url, "t", timeout=0.05, retries=Retries(times=0)
    ) as client:
        with pytest.raises(StorageAwayError, match="takes too long"):
            await client.conversation("u", "c")


async def test_the_disk_is_never_left_at_work_behind_a_cancelled_call():
    begun, may_end, ended = asyncio.Event(), threading.Event(), []
    loop = asyncio.get_running_loop()

    def act():
        loop.call_soon_threadsafe(begun.set)
        may_end.wait(10)
        ended.append(True)

    working = asyncio.create_task(_in_thread(act))
    await begun.wait()
    working.cancel()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not working.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert ended
