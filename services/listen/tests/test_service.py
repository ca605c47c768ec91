"""The process: killed at any moment, asked to end, and with a Redis that goes and comes back."""

import asyncio
import itertools
import random
import signal

from websockets.exceptions import ConnectionClosed, InvalidHandshake

from audiobus import Conversation
from audiocodec.span import decode, join


class Recorder:
    """A client as the page asks for it: keeps what is not acked, reconnects, resumes."""

    def __init__(self, service, cid: str, messages: list[bytes], codec: str) -> None:
        self._service = service
        self._query = f"conversation_id={cid}&codec={codec}"
        self._payload = b"".join(messages)
        self._ends = [0]
        for message in messages:
            self._ends.append(self._ends[-1] + len(message))
        self.session = ""
        self.acked = 0
        self.connections = 0

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
            for start, end in itertools.pairwise(self._ends):
                if end > offset:
                    await client.send(self._payload[max(start, offset) : end])
                    await asyncio.sleep(0.004)
            await client.say(type="close")
        except ConnectionClosed:
            return


async def test_killed_at_any_moment_nothing_acked_is_lost_and_nothing_doubled(make_service, second, packets):
    service = make_service()
    chooser = random.Random(7)
    pcm = second * 10
    cuts = [pcm[at : at + 1_001] for at in range(0, len(pcm), 1_001)]
    recorders = [
        Recorder(service, "speech", cuts, "pcm16"),
        Recorder(service, "packets", packets * 2, "opus"),
    ]
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(recorder.run()) for recorder in recorders]
        for _ in range(4):
            async with service.process() as process:
                await asyncio.wait(running, timeout=chooser.uniform(0.3, 0.9))
                process.send_signal(signal.SIGKILL)
        async with service.process():
            await asyncio.wait(running)
    assert all(recorder.connections > 2 for recorder in recorders)

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
        assert await asyncio.wait_for(process.wait(), 6) == 0
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
        assert await asyncio.wait_for(process.wait(), 4) == 0
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
