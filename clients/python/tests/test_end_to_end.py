"""The SDK against the real services: what it records comes back, through killed services and a change of conversation."""

import asyncio
import os
import signal
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from audiocodec.encoder import Encoder
from audiocodec.ogg import read_ogg_opus
from audiocodec.pcm import interleave
from audiocodec.resampler import resample
from audiocodec.wav import read_wav, wav_header
from tapedeck import (
    AsyncStorageClient,
    AudioFormat,
    AudioRequest,
    ListenClient,
    ListenOptions,
    ready_file,
    sample,
    tokens,
)
from tapedeck.audio_file import open_source
from tapedeck.demo.comparison import compare
from tapedeck.errors import NotFoundError, ReplacedError, UnauthorizedError
from tapedeck.sending import Job, send
from tapedeck.up.plan import UpOptions
from tapedeck.up.stack import run_stack

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
    async with AsyncStorageClient(system().storage_api, token(system)) as client:
        return (await client.audio(UID, conversation_id, AudioRequest(form))).content


@pytest.mark.parametrize("victim", ["listen", "redis", "pusher"])
async def test_every_packet_comes_back_though_services_die(system, pcm, within, victim):
    packets = Encoder(16000).encode(pcm)
    audio = AudioFormat("opus", 16000, pre_skip=312)
    options = ListenOptions("c", patience_s=60)
    async with ListenClient(system().listen, token(system), audio, options) as client:
        await client.mark(time.time_ns() // 1_000_000 - 20_000)
        for number, packet in enumerate(packets):
            await client.send(packet)
            if number % 300 == 299:
                # Audio goes through again since the last kill: so each of them hits a session that is open.
                acked = client.progress.acked_bytes
                await within(lambda acked=acked: client.progress.acked_bytes > acked)
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


@pytest.fixture
def stereo(pcm, tmp_path):
    """A file of 5 s at 44.1 kHz whose channels say different things."""
    both = interleave(*(resample(pcm[start : start + 160_000], 16_000, 44_100) for start in (0, 320_000)))
    path = tmp_path / "stereo.wav"
    path.write_bytes(wav_header(44_100, 2, len(both)) + both)
    return open_source(str(path))


def heard_right(source, wav):
    """Two channels at the next Opus rate, each in its place, to a few samples of 48 kHz: what codecs shift phases by."""
    got = read_wav(wav)
    assert (got.sample_rate, got.channels) == (48_000, 2)
    expected = np.frombuffer(b"".join(replace(source, sample_rate=48_000).pieces()), "<i2").reshape(-1, 2)
    heard = np.frombuffer(got.pcm, "<i2").reshape(-1, 2)
    assert 0 <= len(heard) - len(expected) < 2048
    for channel in (0, 1):
        found = compare(expected[:, channel], heard[:, channel])
        assert abs(found.lag) <= 8
        assert found.correlation > 0.8  # Opus and AAC of the client are encoded a second time
    return len(heard) - len(expected)


async def test_two_channels_at_a_rate_that_opus_has_not_come_back_in_their_places_with_every_codec(
    system, stereo
):
    for codec in ("pcm16", "opus", "aac"):
        job = Job(stereo, codec, start_ms=time.time_ns() // 1_000_000 - 5_000, conversation_id=codec)
        sent = await send(system().listen, token(system), job, lambda _: None)
        assert sent.stored
        assert sent.acked_bytes == sent.stored_bytes == sent.sent_bytes
        extra = heard_right(stereo, await fetch(system, codec, "wav"))
        assert codec != "pcm16" or extra == 0


async def test_two_channels_go_on_where_they_were_though_listen_dies(system, stereo, within):
    pcm = np.frombuffer(b"".join(stereo.pieces()), "<i2").reshape(-1, 2)
    near, far = pcm[:, 0].tobytes(), pcm[:, 1].tobytes()
    audio = AudioFormat("pcm16", 44_100, channels=2)
    async with ListenClient(
        system().listen, token(system), audio, ListenOptions("c", patience_s=60)
    ) as client:
        await client.mark(time.time_ns() // 1_000_000 - 5_000)
        for number, start in enumerate(range(0, len(near), 8821)):  # in the middle of samples
            await client.send(near[start : start + 8821], 1)
            await client.send(far[start : start + 8821], 2)
            if number in (15, 30):
                acked = client.progress.acked_bytes
                await within(lambda acked=acked: client.progress.acked_bytes > acked)
                for pid in system().pids.listen:
                    os.kill(pid, signal.SIGKILL)
    assert client.progress.resumed == 2
    assert client.progress.lost_bytes == client.progress.begun_anew == 0
    assert client.progress.acked_bytes == len(near) + len(far)
    assert heard_right(stereo, await fetch(system, "c", "wav")) == 0


async def test_what_was_acked_less_than_two_seconds_ago_is_heard(system, pcm, within):
    async with ListenClient(system().listen, token(system), options=ListenOptions("c")) as client:
        await client.send(pcm[:96_000])
        await within(lambda: client.progress.acked_bytes >= 90_000)
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
    async with AsyncStorageClient(system().storage_api, system().service_token) as client:
        assert [c async for c in client.conversations(UID)] == []
        with pytest.raises(NotFoundError):
            await client.conversation(UID, "none")
