"""The process: killed at any moment, asked to end, and with a Redis that goes and comes back."""

import asyncio
import itertools
import json
import random
import signal
import time
from collections.abc import Awaitable
from contextlib import AsyncExitStack, suppress

import httpx
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from audiobus import Conversation, utc_day
from audiocodec.resampler import opus_rate, resample
from audiocodec.span import decode, join
from tapedeck_testing.recordings import aac_messages


class Recorder:
    """A client as the page asks for it: keeps what is not acked, reconnects, resumes."""

    def __init__(self, service, cid: str, messages: list[bytes], query: str, *, tag_bytes: int = 0) -> None:
        self._service = service
        self._query = f"conversation_id={cid}&{query}"
        self._messages = [(message[:tag_bytes], message[tag_bytes:]) for message in messages]
        self._ends = [0]
        for _, payload in self._messages:
            self._ends.append(self._ends[-1] + len(payload))
        self.session = ""
        self.acked = 0
        self.connections = 0
        self.share = 1.0
        """Of its messages, it sends no more for now."""

    async def run(self) -> None:
        """Until the server has closed with 1000."""
        while True:
            try:
                async with self._service.connect(f"{self._query}&session={self.session}") as client:
                    self.connections += 1
                    ready = await client.hear("ready")
                    assert self.session in ("", ready["session"]), "a session was lost"
                    assert ready["resume_offset"] >= self.acked, "acked audio was lost"
                    self.session = ready["session"]
                    sending = asyncio.create_task(self._send(client, ready["resume_offset"]))
                    try:
                        while True:
                            self.acked = max(self.acked, (await client.hear("ack"))["offset"])
                    except ConnectionClosed:
                        if client.socket.close_code == 1000:
                            return
                    finally:
                        sending.cancel()
                        await asyncio.wait([sending])
            except (OSError, InvalidHandshake, ConnectionClosed, TimeoutError):
                await asyncio.sleep(0.05)

    async def _send(self, client, offset: int) -> None:
        try:
            for (tag, payload), end in zip(self._messages, self._ends[1:], strict=True):
                while end > self.share * self._ends[-1]:
                    await asyncio.sleep(0.004)
                if end > offset:
                    start = end - len(payload)
                    await client.send(tag + payload[max(0, offset - start) :])
                    await asyncio.sleep(0.004)
            await client.say(type="close")
        except ConnectionClosed:
            return


async def connected(recorders: list[Recorder], times: int, share: float) -> None:
    """Waits until each has been connected so often, and lets it send so much: none is done before the last kill."""
    for recorder in recorders:
        recorder.share = share
    async with asyncio.timeout(60):
        while any(recorder.connections < times for recorder in recorders):
            await asyncio.sleep(0.004)


async def every_ms_counted(service, cids: list[str]) -> None:
    """Waits until what was used is what Redis was given, each session's on its own, and never sees more."""
    given = {cid: (await service.bus.state(Conversation("alice", cid))).received_samples / 48 for cid in cids}
    today = utc_day(time.time_ns() // 1_000_000)
    async with asyncio.timeout(60):
        while True:
            used = dict.fromkeys(cids, 0)
            for day in (today - 1, today):
                for field, ms in (
                    await service.bus.client.hgetall(service.bus.keys.usage("alice", day))
                ).items():
                    used[field.decode().partition("/")[0]] += int(ms)
            assert all(used[cid] <= given[cid] for cid in cids), (used, given)
            if all(given[cid] - used[cid] < 2 for cid in cids):  # each day is rounded down
                return
            await asyncio.sleep(0.02)


async def test_killed_at_any_moment_nothing_acked_is_lost_and_nothing_doubled(make_service, second, packets):
    service = make_service()
    chooser = random.Random(7)
    pcm = second * 10
    cuts = [pcm[at : at + 1_001] for at in range(0, len(pcm), 1_001)]
    recorders = [
        Recorder(service, "speech", cuts, "codec=pcm16"),
        Recorder(service, "packets", packets * 2, "codec=opus"),
    ]
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(recorder.run()) for recorder in recorders]
        for kills in range(4):
            async with service.process() as process:
                await connected(recorders, kills + 1, (kills + 1) / 5)
                await asyncio.sleep(chooser.uniform(0.0, 0.4))
                process.send_signal(signal.SIGKILL)
        async with service.process():
            await connected(recorders, 5, 1.0)
            await asyncio.wait(running)
            await every_ms_counted(service, ["speech", "packets"])

    spans = await service.spans("speech")
    assert all(a.end_offset == b.first_offset for a, b in itertools.pairwise(spans))
    assert all(a.end_48k == b.start_48k for a, b in itertools.pairwise(spans))
    decoded = b"".join(piece for span in join(spans) for piece in decode(span, (), 16_000, 1))
    assert len(decoded) == len(pcm)
    stored = [packet for span in await service.spans("packets") for packet in span.packets]
    assert stored == packets * 2
    state = await service.bus.state(Conversation("alice", "packets"))
    assert state.received_samples == 1_000 * 960 - 312
    await service.bus.close()


def both(speech: bytes, codec: str, rate: int) -> tuple[list[bytes], list[bytes]]:
    """Two channels of speech as a client sends them, and what each says at the rate that is stored."""
    said = [speech[:192_000], speech[96_000:288_000]]
    channels = []
    for voice in said:
        pcm = resample(voice, 16_000, rate)
        pieces = [pcm[at : at + 3_001] for at in range(0, len(pcm), 3_001)]
        channels.append(aac_messages(pcm, rate) if codec == "aac" else pieces)
    messages = [
        bytes([number]) + message
        for pair in zip(*channels, strict=True)
        for number, message in zip((1, 2), pair, strict=True)
    ]
    return messages, [resample(pcm, 16_000, opus_rate(rate)) for pcm in said]


async def test_two_channels_of_any_rate_survive_kills_to_the_sample(make_service, speech):
    service = make_service(TAPEDECK_OPUS_COMPLEXITY="1")
    chooser = random.Random(3)
    layouts = [("pcm16", 44_100), ("aac", 22_050)]
    parts = {layout: both(speech, *layout) for layout in layouts}
    recorders = [
        Recorder(
            service,
            codec,
            parts[codec, rate][0],
            f"codec={codec}&sample_rate={rate}&channels=2",
            tag_bytes=1,
        )
        for codec, rate in layouts
    ]
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(recorder.run()) for recorder in recorders]
        for kills in range(3):
            async with service.process() as process:
                await connected(recorders, kills + 1, (kills + 1) / 4)
                await asyncio.sleep(chooser.uniform(0.0, 0.4))
                process.send_signal(signal.SIGKILL)
        async with service.process():
            await connected(recorders, 4, 1.0)
            await asyncio.wait(running)
    for codec, rate in layouts:
        spans = await service.spans(codec)
        assert all(a.end_offset == b.first_offset for a, b in itertools.pairwise(spans))
        assert all(a.end_48k == b.start_48k for a, b in itertools.pairwise(spans))
        out = opus_rate(rate)
        decoded = b"".join(piece for span in join(spans) for piece in decode(span, (), out, 2))
        heard = np.frombuffer(decoded, "<i2").reshape(-1, 2).astype(float)
        for channel, pcm in enumerate(parts[codec, rate][1]):
            said = np.frombuffer(pcm, "<i2").astype(float)
            assert abs(len(heard) - len(said)) <= (1_024 * out // rate if codec == "aac" else 1)
            for at in range(0, 5 * out, out):
                assert abs(_lag(heard[at : at + out, channel], said[at : at + out])) <= 2 * out // 16_000
    await service.bus.close()


def _lag(heard: np.ndarray, said: np.ndarray) -> int:
    """By how many samples what is heard comes late."""
    size = 4 * len(said)
    correlation = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(said, size)), size)
    at = int(np.argmax(correlation))
    return at if at < size // 2 else at - size


async def test_asked_to_end_it_brings_everyone_safe(make_service, second):
    service = make_service()
    async with service.process() as process, service.connect("conversation_id=a") as client:
        await client.hear("ready")
        await client.send(second)
        process.send_signal(signal.SIGTERM)
        going = await client.hear("going_away")
        assert going["reconnect_after_ms"] > 0
        assert await client.closed() == 1012
        assert client.texts[-1]["offset"] == len(second)
        assert await asyncio.wait_for(process.wait(), 60) == 0
    (span,) = join(await service.spans("a"))
    assert span.end_offset == len(second)
    assert (await service.bus.state(Conversation("alice", "a"))).flush is None
    await service.bus.close()


async def test_asked_to_end_it_does_not_wait_for_a_bucket(make_service, second):
    service = make_service()
    async with service.process() as process, service.connect("conversation_id=b") as client:
        await client.hear("ready")
        await client.send(second)
        await client.say(type="finalize")
        await client.say(type="close")
        await client.acked(len(second))
        process.send_signal(signal.SIGTERM)
        assert await client.closed() == 1000
        assert client.texts[-2] == {"type": "finalized", "offset": len(second), "stored": False}
        assert await asyncio.wait_for(process.wait(), 60) == 0
    await service.bus.close()


async def test_a_redis_that_is_killed_and_comes_back_costs_nothing(make_service, redis_process, packets):
    async with make_service(url=redis_process.url).here() as service:
        async with service.connect("codec=opus&conversation_id=a") as client:
            await client.hear("ready")
            for packet in packets[:60]:
                await client.send(packet)
            await client.acked(1)
            redis_process.kill()
            for packet in packets[60:200]:
                await client.send(packet)
            assert (await client.hear("status"))["state"] == "buffering"
            redis_process.start()
            await client.hear("status", state="ok")
            await client.say(type="close")
            assert await client.closed() == 1000
        spans = await service.spans("a")
        assert [packet for span in spans for packet in span.packets] == packets[:200]


async def test_asked_to_end_while_redis_hangs_it_ends_in_time_and_says_what_is_left(
    make_service, redis_process, second, tmp_path, sign
):
    service = make_service(url=redis_process.url)
    with (tmp_path / "log").open("wb") as log:
        async with service.process(stdout=log) as process, AsyncExitStack() as sockets:
            clients = [
                await sockets.enter_async_context(service.connect(f"conversation_id=c{number}"))
                for number in range(3)
            ]
            for client in clients:
                await client.hear("ready")
                await client.send(second)
                await client.acked(1)
            redis_process.process.send_signal(signal.SIGSTOP)
            try:
                for client in clients:
                    await client.send(second)
                async with httpx.AsyncClient(timeout=20) as http, asyncio.TaskGroup() as tasks:
                    headers = {"Authorization": f"Bearer {sign()}"}
                    tasks.create_task(ended(http.post(f"{service.http}/v1/tickets", headers=headers)))
                    coming = tasks.create_task(ended(refused(service)))
                    while not (coming.done() or (await service.metrics())["tapedeck_handshakes"]):
                        await asyncio.sleep(0.01)
                    counting = tasks.create_task(audio_left(service))
                    process.send_signal(signal.SIGTERM)
                    for client in clients:
                        assert await client.closed() == 1012
                        assert client.codes == ["unavailable"]
                    assert await process.wait() == 0
                    assert counting.result() == pytest.approx(3, abs=0.1)
            finally:
                redis_process.process.send_signal(signal.SIGCONT)
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert not [line for line in lines if line["severity"] == "CRITICAL"]
    warnings = {line["message"]: line for line in lines if line["severity"] == "WARNING"}
    assert (
        warnings["not everything could be made safe in time: it is the clients' to send again"]["sockets"]
        == 3
    )
    assert warnings["usage is left to whoever comes next"]["users"] == 1
    await service.bus.close()


async def ended(request: Awaitable[object]) -> None:
    """Waits for the answer, or for the end of the connection."""
    with suppress(httpx.TransportError, InvalidHandshake, OSError, EOFError):
        await request


async def refused(service) -> None:
    """A handshake that nothing comes of."""
    async with service.connect("conversation_id=late"):
        pytest.fail("it was let in")


async def audio_left(service) -> float:
    """The seconds that are left, once there are any."""
    while not (seconds := (await service.metrics())["tapedeck_audio_left_seconds_total"]):
        await asyncio.sleep(0.02)
    return seconds
