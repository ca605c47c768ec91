"""Too much, too fast: pings, tiny messages, audio faster than Redis takes; and clients that read nothing of what they are told.

Where everything is within the protocol, nothing may be lost: what was sent is acked in the end.
"""

import asyncio
import json
import os
from typing import Final

from tapedeck_testing.hostile.attack import Attack
from tapedeck_testing.hostile.frames import BINARY, PING, PONG, TEXT, frame
from tapedeck_testing.hostile.peer import Peer
from tapedeck_testing.hostile.server import Server
from tapedeck_testing.recordings import opus_packets

LONG: Final = int(os.environ.get("TAPEDECK_TEST_HOSTILE_LONG", "0"))
MANY: Final = 1_000_000 if LONG else 100_000
SMALL_BUFFER: Final = 4_096
ALL_TAKEN_S: Final = 100.0
CLOSING: Final = frame(TEXT, b'{"type":"close"}')


async def _all_acked(peer: Peer, sent_bytes: int) -> str:
    """Asks for the end, and hears whether all was acked."""
    await peer.send(CLOSING, within_s=ALL_TAKEN_S)
    heard = await peer.hear(
        lambda heard: (
            heard.close_code is not None or (heard.last("ack") or {"offset": 0})["offset"] == sent_bytes
        ),
        within_s=ALL_TAKEN_S,
    )
    acked = (heard.last("ack") or {"offset": 0})["offset"]
    return "all acked" if acked == sent_bytes else f"{heard}: {acked} of {sent_bytes} bytes acked"


async def _pour(peer: Peer, piece: bytes, times: int) -> bool:
    """Sends the same bytes over and over, reading what comes meanwhile."""
    for _ in range(times):
        if not await peer.send(piece, within_s=ALL_TAKEN_S):
            return False
        await peer.hear(lambda heard: heard.close_code is not None, within_s=0)
    return True


async def _pings(server: Server) -> str:
    async with await server.session() as peer:
        await _pour(peer, frame(PING, b"p" * 16) * 1_000, MANY // 1_000)
        heard = await peer.hear(lambda heard: len(heard.pongs) >= 1 or heard.close_code is not None)
        return await server.alive(peer) if heard.close_code is None else str(heard)


async def _pongs(server: Server) -> str:
    async with await server.session() as peer:
        await _pour(peer, frame(PONG, b"p" * 16) * 1_000, MANY // 1_000)
        return await server.alive(peer)


async def _tiny_messages(server: Server) -> str:
    """100,000 messages of one sample."""
    async with await server.session("codec=pcm16&sample_rate=48000") as peer:
        await _pour(peer, frame(BINARY, b"\1\0") * 1_000, MANY // 1_000)
        return await _all_acked(peer, 2 * MANY)


async def _empty_messages(server: Server) -> str:
    async with await server.session() as peer:
        await _pour(peer, frame(BINARY) * 1_000, MANY // 1_000)
        return await server.alive(peer)


async def _keepalives(server: Server) -> str:
    """In the plain dialect, messages of two bytes are no audio."""
    async with await server.session("codec=pcm8", plain=True) as peer:
        await _pour(peer, frame(BINARY, b"\0\0") * 1_000, MANY // 1_000)
        return await server.alive(peer)


async def _dtx(server: Server) -> str:
    """Opus packets of one byte, each 20 ms: minutes of audio a second."""
    packets = 20_000
    async with await server.session("codec=opus") as peer:
        await _pour(peer, frame(BINARY, b"\x48") * 500, packets // 500)
        return await _all_acked(peer, packets)


async def _pcm_at_once(server: Server) -> str:
    """A minute of PCM as fast as the line takes it: faster than it is encoded."""
    async with await server.session("codec=pcm16&sample_rate=16000") as peer:
        await _pour(peer, frame(BINARY, bytes(range(256)) * 128), 60)
        return await _all_acked(peer, 60 * 32_768)


async def _opus_at_once(server: Server) -> str:
    """Five minutes of Opus as fast as the line takes it."""
    packets = opus_packets(2, seed=11)
    async with await server.session("codec=opus") as peer:
        await _pour(peer, b"".join(frame(BINARY, packet) for packet in packets), 150)
        return await _all_acked(peer, 150 * sum(map(len, packets)))


async def _redis_stands_still(server: Server) -> str:
    """Redis answers nothing for 3 s while 16 MiB of audio come: the server stops reading, says so, and takes it all in the end."""
    assert server.redis is not None
    packets = [bytes((0x48, *(seed.to_bytes(2, "big") * 120))) for seed in range(500)]
    piece = b"".join(frame(BINARY, packet) for packet in packets)
    async with await server.session("codec=opus") as peer:
        await _pause_redis(server, 3_000)
        await _pour(peer, piece, 4)
        answer = await _all_acked(peer, 4 * sum(map(len, packets)))
        told = any(text.get("state") == "buffering" for text in peer.heard.texts)
        return answer if told or answer != "all acked" else "never said `buffering`"


async def _pause_redis(server: Server, ms: int) -> None:
    assert server.redis is not None
    async with await Peer.connect(server.redis.port) as peer:
        await peer.send(f"CLIENT PAUSE {ms} ALL\r\n".encode())
        await peer.hear(lambda heard: heard.status is not None, within_s=1)


async def _unread_pongs(server: Server) -> str:
    """Asks for 25 MB of pongs and reads none: the server may stop reading or break off, but not hold them."""
    async with await server.session(receive_buffer=SMALL_BUFFER) as peer:
        piece = frame(PING, bytes(125)) * 1_000
        taken = 0
        while taken < 2 * MANY and await peer.send(piece, within_s=3):
            taken += 1_000
        return "not read on" if taken < 2 * MANY and not peer.broken else "cut" if peer.broken else "took all"


async def _unread_errors(server: Server) -> str:
    """The same with texts: each broken one is answered with an error."""
    async with await server.session(receive_buffer=SMALL_BUFFER) as peer:
        piece = frame(TEXT, b"{" * 100) * 1_000
        taken = 0
        while taken < 2 * MANY and await peer.send(piece, within_s=3):
            taken += 1_000
        return "not read on" if taken < 2 * MANY and not peer.broken else "cut" if peer.broken else "took all"


async def _unread_acks(server: Server) -> str:
    """Streams, and reads no ack: a slow reader is no crime, as long as what waits for it is bounded."""
    async with await server.session("codec=opus", receive_buffer=SMALL_BUFFER) as peer:
        for _ in range(20):
            if not await peer.send(frame(BINARY, b"\x48") * 500, within_s=5):
                break
            await asyncio.sleep(0.05)
        return "cut" if peer.broken else "open"


def _said(message: dict[str, object], times: int) -> bytes:
    return frame(TEXT, json.dumps(message).encode()) * times


async def _marks(server: Server) -> str:
    async with await server.session() as peer:
        await _pour(peer, _said({"type": "mark", "at_ms": 5}, 500), 20)
        return await server.alive(peer)


async def _finalizes(server: Server) -> str:
    async with await server.session() as peer:
        await _pour(peer, frame(BINARY, bytes(320)) + _said({"type": "finalize"}, 500), 10)
        return await server.alive(peer)


async def _conversations(server: Server) -> str:
    """A new conversation with each message: each needs Redis, so they come one after another."""
    names = [server.name("switch") for _ in range(300)]
    async with await server.session() as peer:
        for name in names:
            await peer.send(_said({"type": "conversation", "conversation_id": name}, 1))
        await peer.hear(lambda heard: heard.close_code is not None, within_s=1)
        await peer.hear(
            lambda heard: (
                heard.close_code is not None or (heard.last("ready") or {})["conversation_id"] in names
            )
        )
        return str(peer.heard)


BOUNDED = ("not read on", "cut")
ATTACKS = (
    Attack(name="100,000 pings", run=_pings, right=("open", "cut", "close *"), times=2),
    Attack(name="100,000 pongs", run=_pongs, right=("open",), times=1),
    Attack(name="100,000 tiny messages", run=_tiny_messages, right=("all acked",), times=1),
    Attack(
        name="100,000 empty messages", run=_empty_messages, right=("open*", "close 1007 bad_audio"), times=1
    ),
    Attack(name="100,000 keepalives", run=_keepalives, right=("open",), times=1),
    Attack(name="20,000 packets of a byte", run=_dtx, right=("all acked",), times=1),
    Attack(name="PCM faster than it is encoded", run=_pcm_at_once, right=("all acked",), times=2),
    Attack(name="Opus as fast as the line", run=_opus_at_once, right=("all acked",), times=2),
    Attack(
        name="Redis stands still meanwhile",
        run=_redis_stands_still,
        right=("all acked",),
        times=1,
        wire=False,
    ),
    Attack(name="pongs that nobody reads", run=_unread_pongs, right=BOUNDED, times=10),
    Attack(name="errors that nobody reads", run=_unread_errors, right=BOUNDED, times=10, wire=False),
    Attack(name="acks that nobody reads", run=_unread_acks, right=("open", "cut"), times=10),
    Attack(name="10,000 marks", run=_marks, right=("open bad_mark",), times=1, wire=False),
    Attack(name="5,000 finalizes", run=_finalizes, right=("open",), times=1, wire=False),
    Attack(name="300 conversations", run=_conversations, right=("open*",), times=2, wire=False),
)
