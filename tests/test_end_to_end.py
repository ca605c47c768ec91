"""Speech in at one end, and out at the other, through everything that `tapedeck up` starts."""

import asyncio
import subprocess
import time
import wave
from io import BytesIO

import av
import numpy as np
import pytest

from audiocodec import Encoder
from tapedeck_testing.account import assert_stored_once, flush, objects, packets_back
from tapedeck_testing.protocol_client import ProtocolClient
from tapedeck_testing.recordings import in_messages, opus_packets

RATE = 16_000


@pytest.fixture(scope="module")
def speech(request):
    """60 s of the bundled speech, s16le at 16 kHz."""
    path = request.config.rootpath / "clients/python/src/tapedeck/sample/speech.flac"
    with av.open(str(path)) as container:
        samples = np.concatenate([frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)])
    assert samples.dtype == np.int16
    return samples[: 60 * RATE].tobytes()


async def record(stack, uid, cid, messages, codec, **options):
    client = ProtocolClient(
        stack.facts["listen"], stack.user_token(uid), cid, messages, codec=codec, **options
    )
    await client.run()
    assert client.acked == client.total
    return client


async def test_pcm_comes_back_to_the_sample(stack, speech):
    mark_ms = int(time.time() * 1000) - 60_000
    await record(stack, "pcm-user", "speech", in_messages(speech, 3_201), "pcm16", mark_ms=mark_ms)
    async with stack.http() as http:
        await flush(http, "pcm-user", "speech")
        answer = await http.get("/v1/users/pcm-user/conversations/speech/audio", params={"format": "wav"})
        about = (await http.get("/v1/users/pcm-user/conversations/speech")).json()
    with wave.open(BytesIO(answer.content)) as got:
        assert (got.getframerate(), got.getnchannels(), got.getnframes()) == (RATE, 1, 60 * RATE)
        back = np.frombuffer(got.readframes(60 * RATE), "<i2").astype(float)
    sent = np.frombuffer(speech, "<i2").astype(float)
    size = 1 << 21
    correlation = np.fft.irfft(np.fft.rfft(back, size) * np.conj(np.fft.rfft(sent, size)))
    assert int(np.argmax(correlation)) == 0  # zero lag
    stored = sum(path.stat().st_size for path in objects(stack.store, "pcm-user", "speech"))
    assert stored < 0.12 * len(speech)
    assert about["recorded_seconds"] == about["stored_seconds"] == 60
    assert time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(mark_ms // 1000)) in about["start"]


async def test_opus_packets_come_back_byte_for_byte(stack, speech):
    packets = Encoder(RATE).encode(speech)
    await record(stack, "opus-user", "speech", packets, "opus")
    async with stack.http() as http:
        assert await packets_back(http, "opus-user", "speech") == packets  # from wherever they are
        await flush(http, "opus-user", "speech")
        assert await packets_back(http, "opus-user", "speech") == packets  # from the store
    assert_stored_once(stack.store, "opus-user", "speech")


@pytest.mark.parametrize(
    "command",
    [
        ("ffmpeg", "-v", "warning", "-i", "{}", "-f", "null", "-"),
        ("opusinfo", "-q", "{}"),
        ("opusdec", "--quiet", "{}", "{}.wav"),
    ],
    ids=lambda command: command[0],
)
async def test_players_take_objects_as_they_lie_in_the_store(stack, speech, tmp_path, command, program):
    program(command[0])
    uid = f"{command[0]}-user"
    await record(stack, uid, "pcm", in_messages(speech, 32_000), "pcm16")
    await record(stack, uid, "opus", Encoder(RATE).encode(speech), "opus")
    async with stack.http() as http:
        await flush(http, uid, "pcm")
        await flush(http, uid, "opus")
    stored = [*objects(stack.store, uid, "pcm"), *objects(stack.store, uid, "opus")]
    assert len(stored) >= 2
    for number, path in enumerate(stored):
        copy = tmp_path / f"{number}.opus"
        copy.write_bytes(path.read_bytes())
        words = [word.replace("{}", str(copy)) for word in command]
        done = await asyncio.to_thread(
            subprocess.run, words, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0
        said = [
            line
            for line in (done.stdout + done.stderr).splitlines()
            if line and "Processing file" not in line
        ]
        assert said == [], path.name


async def test_what_was_acked_a_moment_ago_is_in_the_answer(stack):
    packets = opus_packets(6, seed=7)
    url, token = stack.facts["listen"], stack.user_token("live-user")
    client = ProtocolClient(url, token, "live", packets, codec="opus", pace_s=0.02)
    recording = asyncio.create_task(client.run())
    looks = 0
    async with stack.http() as http:
        while not recording.done():
            if safe := client.acked_messages:
                back = await packets_back(http, "live-user", "live")
                assert back[:safe] == packets[:safe]
                looks += 1
            await asyncio.sleep(0.2)
    await recording
    assert looks >= 3


async def test_a_foreign_user_sees_nothing(stack):
    await record(stack, "owner", "private", opus_packets(1, seed=8), "opus")
    async with stack.http() as http:
        http.headers["Authorization"] = f"Bearer {stack.user_token('stranger')}"
        answer = await http.get("/v1/users/owner/conversations/private/audio")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
