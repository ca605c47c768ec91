"""The SDK against the real services: what it records comes back, through killed services and a change of conversation."""

import asyncio
import os
import signal
import sys
import time

import pytest

from audiocodec.encoder import Encoder
from audiocodec.ogg import read_ogg_opus
from tapedeck import AudioFormat, ListenClient, ListenOptions, ready_file, sample, tokens
from tapedeck.audio_file import open_source
from tapedeck.errors import NotFoundError, ReplacedError, UnauthorizedError
from tapedeck.storage_client import AudioRequest, StorageClient
from tapedeck.up.plan import UpOptions
from tapedeck.up.stack import run_stack

pytestmark = pytest.mark.timeout(180)

UID = "anna"


@pytest.fixture
async def system(tmp_path):
    """A running stack in this process; yields what reads its ready file."""
    options = UpOptions(tmp_path / "data", listen_port=0, storage_port=0)
    environ = {k: v for k, v in os.environ.items() if not k.startswith("TAPEDECK_")}
    started, ended = asyncio.Event(), asyncio.Event()

    async def body(_ready, asked):
        started.set()
        await ended.wait()
        asked.set()
        return 0

    running = asyncio.create_task(
        run_stack(options, environ, lambda line: sys.stderr.write(f"{line}\n"), body)
    )
    waiting = asyncio.create_task(started.wait())
    await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED, timeout=60)
    assert started.is_set()
    yield lambda: ready_file.read(options.ready_path)
    ended.set()
    await running


@pytest.fixture
def pcm():
    source = open_source(str(sample.PATH), None)
    return b"".join(source.pieces())[: 20 * 32000]


def token(system, uid=UID):
    return tokens.mint(system().jwt_secret, uid, now_s=int(time.time()))


async def fetch(system, conversation_id, form):
    async with StorageClient(system().storage_api, token(system)) as client:
        found = await client.download(UID, conversation_id, AudioRequest(form))
        return b"".join([part async for part in found.body])


@pytest.mark.parametrize("victim", ["listen", "redis", "pusher"])
async def test_every_packet_comes_back_though_services_die(system, pcm, victim):
    packets = Encoder(16000).encode(pcm)
    audio = AudioFormat("opus", 16000, pre_skip=312)
    options = ListenOptions("c", patience_s=60)
    async with ListenClient(system().listen, token(system), audio, options) as client:
        await client.mark(time.time_ns() // 1_000_000 - 20_000)
        for number, packet in enumerate(packets):
            await client.send(packet)
            if number % 300 == 299:
                for pid in getattr(system().pids, victim):
                    os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0.004)  # five times as fast as speech: so the kills hit in mid-stream
        while not (await client.finalize()).stored:
            continue
    assert client.progress.lost_bytes == client.progress.begun_anew == 0
    if victim == "listen":
        assert client.progress.resumed >= 2
    assert read_ogg_opus(await fetch(system, "c", "ogg")).packets == packets


async def test_pcm_comes_back_to_the_sample_through_a_change_of_conversation(system, pcm):
    async with ListenClient(system().listen, token(system), options=ListenOptions("one")) as client:
        await client.mark(time.time_ns() // 1_000_000 - 20_000)
        for start in range(0, len(pcm), 3201):  # also in the middle of samples
            await client.send(pcm[start : start + 3201])
        await client.conversation("two")
        await client.mark(time.time_ns() // 1_000_000 - 20_000)
        await client.send(pcm[:100_000])
    assert len(await fetch(system, "one", "pcm")) == len(pcm)
    assert len(await fetch(system, "two", "pcm")) == 100_000
    assert client.progress.acked_bytes == len(pcm) + 100_000


async def test_what_was_acked_less_than_two_seconds_ago_is_heard(system, pcm, within):
    async with ListenClient(system().listen, token(system), options=ListenOptions("c")) as client:
        await client.send(pcm[:96_000])
        await within(lambda: client.progress.acked_bytes >= 90_000, 5)
        acked = client.progress.acked_bytes
        assert len(await fetch(system, "c", "pcm")) >= acked


async def test_a_newer_session_of_the_same_conversation_ends_the_older_one(system, pcm):
    async def older_and_newer():
        async with ListenClient(system().listen, token(system), options=ListenOptions("c")) as older:
            await older.send(pcm[:32_000])
            await older.ready()
            async with ListenClient(system().listen, token(system), options=ListenOptions("c")) as newer:
                await newer.send(pcm[32_000:64_000])
                await newer.finalize()
            assert newer.progress.acked_bytes == 32_000
            await older.finalize()

    with pytest.raises(ReplacedError):
        await older_and_newer()


async def test_tokens_and_names_are_checked(system):
    with pytest.raises(UnauthorizedError):
        async with ListenClient(system().listen, "nonsense") as client:
            await client.ready()
    async with StorageClient(system().storage_api, system().service_token) as client:
        assert [c async for c in client.conversations(UID)] == []
        with pytest.raises(NotFoundError):
            await client.conversation(UID, "none")
