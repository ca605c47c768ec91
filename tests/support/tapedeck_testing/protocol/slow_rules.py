"""What is done for each rule that takes its time (pings, deadlines, silence), and how long it took.

Owns one coroutine a rule. Each begins to measure before the server can, and ends after it: what is measured is never less than what the
server waited, however slow the machine is. Must not judge: bounds stand in the tests.
"""

import asyncio
import signal
import socket
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final

from websockets.exceptions import ConnectionClosed

from audiobus import Conversation
from tapedeck_testing.protocol.listen_process import ListenProcess
from tapedeck_testing.protocol.raw_socket import RawSocket, handshake, masked
from tapedeck_testing.redis_process import RedisProcess

PING: Final = 0x9
PACKET_S: Final = 0.02
"""Of each Opus packet."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the rules are looked at."""

    listen: ListenProcess
    often: ListenProcess
    """Acks five times a second."""
    frozen: ListenProcess
    """Another process; its Redis will stand still."""
    frozen_redis: RedisProcess
    pcm: bytes
    """A second of it, at 16 kHz."""
    packets: Sequence[bytes]
    """Twenty seconds of Opus. Encoded before anything is under way: whoever encodes beside the others holds them up."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    found: Any
    """As the scenario says."""
    seconds: float
    """How long it took, as the scenario says."""


async def _time_passes(seconds: float) -> None:
    """The passing of time is itself what is tested here: there is no condition to wait for."""
    await asyncio.sleep(seconds)


async def _pings(place: Place) -> Outcome:
    """The first two frames after `ready` on a line on which nothing is sent, and when each came; in all."""
    begun = time.monotonic()
    frames = []
    async with RawSocket.connect(place.listen) as raw:
        assert (await raw.frame())[0] == 0x81  # ready
        for _ in range(2):
            first, _payload = await raw.frame()
            frames.append((first, time.monotonic() - begun))
    return Outcome(frames, time.monotonic() - begun)


async def _silence(place: Place) -> Outcome:
    """The frames of a line on which nothing is ever sent, not even pongs; until its end."""
    begun = time.monotonic()
    frames = []
    async with RawSocket.connect(place.listen) as raw:
        try:
            while True:
                frames.append((await raw.frame())[0])
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return Outcome(frames, time.monotonic() - begun)


async def _first_message(place: Place) -> Outcome:
    """A page that is accepted and sends nothing: close code and errors; until the close."""
    begun = time.monotonic()
    async with place.listen.connect("/v4/web/listen", token="") as client:
        code = await client.closed()
        return Outcome((code, client.errors), time.monotonic() - begun)


async def _finalize(place: Place) -> Outcome:
    """`finalize` where nobody stores, for there is no pusher here: the answer; until it came."""
    async with place.listen.connect(conversation_id="nobody-stores") as client:
        await client.ready()
        await client.send(place.pcm)
        begun = time.monotonic()
        await client.say(type="finalize")
        return Outcome(await client.hear("finalized"), time.monotonic() - begun)


async def _rest(place: Place) -> Outcome:
    """Half a second of PCM, and then nothing: the first ack that covers all of it; since it was sent."""
    async with place.listen.connect(conversation_id="rest") as client:
        await client.ready()
        begun = time.monotonic()
        await client.send(place.pcm[:16_000])
        return Outcome((await client.acked(16_000))["offset"], time.monotonic() - begun)


async def _acks(place: Place) -> Outcome:
    """Twenty seconds of Opus in real time: for each ack, how old the oldest packet was that it is the first to cover; in all."""
    return await _acks_of(place, "acks", place.packets)


async def _acks_of_two_channels(place: Place) -> Outcome:
    """The same with two channels, of which one is silent."""
    packets = [b"\x01" + packet for packet in place.packets]
    return await _acks_of(place, "acks-of-two", packets, channels=2)


async def _acks_of(place: Place, cid: str, packets: Sequence[bytes], **query: Any) -> Outcome:
    waiting: list[tuple[int, float]] = []  # where each packet ends, and when it was sent
    ages = []
    async with place.listen.connect(codec="opus", conversation_id=cid, **query) as client:
        await client.ready()
        begun = time.monotonic()

        async def stream() -> None:
            end = 0
            for index, packet in enumerate(packets):
                await _time_passes(
                    max(0.0, begun + PACKET_S * index - time.monotonic())
                )  # the device's own pace
                end += len(packet)
                waiting.append((end, time.monotonic()))
                await client.send(packet)

        async with asyncio.TaskGroup() as group:
            sending = group.create_task(stream())
            while not sending.done():
                offset = (await client.hear("ack"))["offset"]
                if waiting and waiting[0][0] <= offset:
                    ages.append(time.monotonic() - waiting[0][1])
                waiting[:] = [one for one in waiting if one[0] > offset]
    return Outcome(ages, time.monotonic() - begun)


async def _late_for_good(place: Place) -> Outcome:
    """A plain client that pauses three seconds and then goes on in real time: how far its runs lie from the first, in ms, and where the
    second one should by when its messages were sent; in all.
    """
    begun = time.monotonic()
    sent = []
    async with place.listen.connect(
        plain=True, codec="pcm16", sample_rate=16_000, conversation_id="late"
    ) as client:
        for index in range(8):
            sent.append(time.monotonic())
            await client.send(place.pcm[: len(place.pcm) // 2])
            await _time_passes(
                3.5 if index == 1 else 0.5
            )  # how late the audio comes is what the server judges
        await client.say(type="close")
        assert await client.closed() == 1000
    starts = sorted({chunk.run_start_ms for chunk in await place.listen.chunks("late")})
    # Two messages lie before the hole, half a second each: where the earliest of the others, by its own length, says that they begin.
    after = min(sent[index] - sent[0] - (index - 2) / 2 for index in range(2, 8))
    found = ([start - starts[0] for start in starts], after * 1_000)
    return Outcome(found, time.monotonic() - begun)


async def _stall_and_burst(place: Place) -> Outcome:
    """A plain client whose line stalls for two seconds and then brings all of it at once: where its runs begin; in all."""
    begun = time.monotonic()
    async with place.listen.connect(
        plain=True, codec="pcm16", sample_rate=16_000, conversation_id="stall"
    ) as client:
        await client.send(place.pcm)
        await _time_passes(3.0)  # the stall
        await client.send(*[place.pcm] * 3)
        for _ in range(3):
            await _time_passes(0.5)  # the device's own pace
            await client.send(place.pcm[: len(place.pcm) // 2])
        await client.say(type="close")
        assert await client.closed() == 1000
    chunks = await place.listen.chunks("stall")
    assert sum(chunk.samples for chunk in chunks) == 5.5 * 48_000
    return Outcome(sorted({chunk.run_start_ms for chunk in chunks}), time.monotonic() - begun)


async def _refreshed(place: Place) -> Outcome:
    """A session is stored while nothing is sent, and an ack says so: the ack; since the one before it."""
    async with place.listen.connect(conversation_id="refreshed") as client:
        session = (await client.ready())["session"]
        await client.send(place.pcm)
        begun = time.monotonic()
        await client.acked(len(place.pcm))  # the line rests
        async with place.listen.bus() as bus:  # what a pusher would do, done to Redis
            key = bus.keys.conv(Conversation("alice", "refreshed"))
            await bus.command("HSET", key, "settled", f"{session}-{len(place.pcm)}")
        return Outcome(await client.hear("ack"), time.monotonic() - begun)


async def _redis_away(place: Place) -> Outcome:
    """Redis stands still under a socket that goes on sending: what it was told; from then until the close."""
    found: dict[str, Any] = {}
    async with place.frozen.connect(conversation_id="away") as client:
        found["session"] = (await client.ready())["session"]
        await client.send(place.pcm)
        found["acked"] = (await client.acked(30_000))["offset"]
        assert place.frozen_redis.process is not None
        begun = time.monotonic()
        place.frozen_redis.process.send_signal(signal.SIGSTOP)
        await client.send(*[place.pcm] * 10)
        async with asyncio.timeout(60):
            while True:
                try:
                    await client.next()
                except TimeoutError:
                    continue
                except ConnectionClosed:
                    found["code"] = client.socket.close_code
                    break
        seconds = time.monotonic() - begun
    place.frozen_redis.process.send_signal(signal.SIGCONT)
    found["texts"] = [message for message in client.texts if message["type"] in ("status", "error")]
    async with asyncio.timeout(60):
        while not place.frozen.ready:
            await asyncio.sleep(0.05)
    async with place.frozen.connect(conversation_id="away", session=found["session"]) as client:
        found["resumed"] = await client.ready()
    return Outcome(found, seconds)


async def _never_reads(place: Place) -> Outcome:
    """A plain device that reads nothing, with room for some 350 acks, at five a second: seconds of its audio that are safe; in all."""
    query = "codec=pcm8&sample_rate=8000&conversation_id=never-reads"
    begun = time.monotonic()
    async with RawSocket.dial(place.often) as raw:
        connection = raw.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 24_576)
        raw.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport of both ways
        raw.writer.write(handshake(place.often.port, place.often.token(), query, plain=True))
        for _ in range(180):
            raw.writer.write(masked(0x82, bytes(range(250)) * 16, b"mask"))
            await raw.writer.drain()
            await _time_passes(0.5)  # the device's own pace, for longer than the server bears with the silent
        await place.often.appended("never-reads", 89)
    samples = sum(chunk.samples for chunk in await place.often.chunks("never-reads"))
    return Outcome(samples / 48_000, time.monotonic() - begun)


SCENARIOS: Final[dict[str, Callable[[Place], Coroutine[Any, Any, Outcome]]]] = {
    "pings": _pings,
    "silence": _silence,
    "first message": _first_message,
    "finalize": _finalize,
    "rest": _rest,
    "acks": _acks,
    "acks of two channels": _acks_of_two_channels,
    "late for good": _late_for_good,
    "stall and burst": _stall_and_burst,
    "refreshed": _refreshed,
    "redis away": _redis_away,
    "never reads": _never_reads,
}
LONG_ONES: Final = frozenset({"silence", "never reads"})
