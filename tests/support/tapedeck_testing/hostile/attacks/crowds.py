"""Many at once, and peers that are gone in the middle of something: RST, FIN, or without a word."""

import asyncio
import os
from collections import Counter
from typing import TYPE_CHECKING, Final

from tapedeck_testing.hostile.attack import Attack
from tapedeck_testing.hostile.frames import BINARY, frame
from tapedeck_testing.hostile.server import Server

if TYPE_CHECKING:
    from tapedeck_testing.hostile.peer import Peer

LONG: Final = int(os.environ.get("TAPEDECK_TEST_HOSTILE_LONG", "0"))
CONNECTS: Final = 3_000 if LONG else 1_000
HANDSHAKES: Final = 1_000 if LONG else 300
AT_ONCE: Final = 200


async def _reset_after_handshake(server: Server) -> str:
    async with await server.session():
        return "gone"


async def _reset_in_handshake(server: Server) -> str:
    """The handshake is sent, and nobody waits for its answer: it may be in the middle of asking Redis."""
    async with await server.connect() as peer:
        await peer.send(server.handshake())
        return "gone"


async def _reset_in_head(server: Server) -> str:
    async with await server.connect() as peer:
        await peer.send(server.handshake()[:50])
        return "gone"


async def _finish_in_frame(server: Server) -> str:
    """FIN where a frame lacks its end: what is not whole is no audio."""
    async with await server.session() as peer:
        await peer.send(frame(BINARY, bytes(1_000))[:500])
        peer.finish()
        return str(await peer.ending())


async def _finish_in_message(server: Server) -> str:
    async with await server.session() as peer:
        await peer.send(frame(BINARY, bytes(1_000), fin=False))
        peer.finish()
        return str(await peer.ending())


async def _finish_after_audio(server: Server) -> str:
    """A FIN without a close frame: what was sent before it is taken; the socket ends."""
    async with await server.session() as peer:
        await peer.send(frame(BINARY, bytes(32_000)))
        peer.finish()
        return str(await peer.ending())


async def _finish_after_handshake(server: Server) -> str:
    async with await server.connect() as peer:
        await peer.send(server.handshake())
        peer.finish()
        heard = await peer.ending()
        return "ended" if heard.ended else str(heard)


async def _reset_while_told(server: Server) -> str:
    """Goes away with RST while much is still to be read, and much to be told."""
    async with await server.session("codec=opus", receive_buffer=4_096) as peer:
        await peer.send(frame(BINARY, b"\x48") * 2_000)
        return "gone"


async def _connects(server: Server) -> str:
    """Connections that say nothing and go away again, as many a second as this machine makes."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one() -> None:
        async with turns, await server.connect():
            pass

    await asyncio.gather(*(one() for _ in range(CONNECTS)))
    return await _serves(server)


async def _held(server: Server) -> str:
    """Connections that say nothing and stay, until they are let go."""
    peers = [await server.connect() for _ in range(AT_ONCE * 2)]
    answer = await _serves(server)
    for peer in peers:
        peer.reset()
    return answer


async def _handshakes(server: Server) -> str:
    """Whole handshakes, each of another user, and gone."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one() -> str:
        async with turns, await server.connect() as peer:
            await peer.send(server.handshake())
            heard = await peer.hear(
                lambda heard: heard.last("ready") is not None or heard.status not in (None, 101)
            )
            return "ready" if heard.last("ready") else str(heard)

    answers = Counter(await asyncio.gather(*(one() for _ in range(HANDSHAKES))))
    odd = [answer for answer in answers if answer not in {"ready", "HTTP 503", "HTTP 429"}]
    return str(dict(answers)) if odd else await _serves(server)


async def _refusals(server: Server) -> str:
    """Handshakes without a token, in quick succession: each is told 401."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one() -> str:
        async with turns, await server.connect() as peer:
            await peer.send(server.handshake().replace(b"Authorization", b"X-Nothing"))
            return str(await peer.hear(lambda heard: heard.status is not None))

    answers = Counter(await asyncio.gather(*(one() for _ in range(HANDSHAKES))))
    return "refused" if set(answers) <= {"HTTP 401", "HTTP 503", "HTTP 429"} else str(dict(answers))


async def _one_user(server: Server) -> str:
    """More sockets of a user than a user may have: the 21st is told so, and the others serve on."""
    token = server.token()
    first = server.handshake()
    peers: list[Peer] = []
    try:
        answers = Counter[str]()
        for _ in range(25):
            peer = await server.connect()
            peers.append(peer)
            lines = first.split(b"\r\n")
            mine = b"\r\n".join(
                f"Authorization: Bearer {token}".encode() if line.startswith(b"Authorization") else line
                for line in lines
            )
            await peer.send(mine)
            heard = await peer.hear(
                lambda heard: heard.last("ready") is not None or heard.status not in (None, 101)
            )
            answers["ready" if heard.last("ready") else str(heard)] += 1
        return ", ".join(f"{number} {answer}" for answer, number in sorted(answers.items()))
    finally:
        for peer in peers:
            peer.reset()


async def _serves(server: Server) -> str:
    async with await server.session() as peer:
        return await server.alive(peer)


ATTACKS = (
    Attack(name="RST after the handshake", run=_reset_after_handshake, right=("gone",), times=50),
    Attack(name="RST during the handshake", run=_reset_in_handshake, right=("gone",), times=50),
    Attack(name="RST in the head", run=_reset_in_head, right=("gone",), times=50),
    Attack(name="FIN in a frame", run=_finish_in_frame, right=("cut", "close *"), times=50),
    Attack(name="FIN in a message", run=_finish_in_message, right=("cut", "close *"), times=50),
    Attack(name="FIN after audio", run=_finish_after_audio, right=("cut", "close *"), times=20),
    Attack(name="FIN after the handshake", run=_finish_after_handshake, right=("ended",), times=50),
    Attack(name="RST with much unread", run=_reset_while_told, right=("gone",), times=20),
    Attack(name="thousands of connects", run=_connects, right=("open",), times=1),
    Attack(name="hundreds of silent connections", run=_held, right=("open",), times=1),
    Attack(name="hundreds of handshakes at once", run=_handshakes, right=("open",), times=1),
    Attack(name="hundreds of refusals at once", run=_refusals, right=("refused",), times=1, wire=False),
    Attack(name="25 sockets of a user", run=_one_user, right=("5 HTTP 429, 20 ready",), times=2, wire=False),
)
