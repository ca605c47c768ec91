"""Bytes that are no audio of the codec, at a rate; channels that there are not.

What is a packet by its header is taken, and silence is stored where it does not decode; what is none is left out.
"""

import random
from collections.abc import Callable, Sequence
from typing import Final

from tapedeck_testing.bloated import bloated
from tapedeck_testing.hostile.attack import Attack
from tapedeck_testing.hostile.frames import BINARY, TEXT, frame
from tapedeck_testing.hostile.server import Server
from tapedeck_testing.hostile.vitals import MIB
from tapedeck_testing.recordings import aac_messages, noisy_pcm, opus_packets

GIVEN_UP: Final = ("close 1007 bad_audio",)
"""50 in a row that are no packet."""
ENDS: Final = ("close 1000", "close 1000 bad_audio")
"""Left out or not, the session goes on and ends in order."""
MOST: Final = 3_000
PIECE: Final = 50
DECODER_BYTES: Final = 128 * MIB
"""FFmpeg's AAC decoder scatters what it allocates for broken blocks: the process grows by some 90 MiB over many such streams,
and then no further (eight rounds were measured)."""


def streams(
    name: str, query: str, messages: Callable[[random.Random], list[bytes]], right: Sequence[str]
) -> Attack:
    """An attack that sends messages as fast as they are taken, asks for the end, and hears which end comes."""

    async def run(server: Server) -> str:
        made = messages(random.Random(20_261_121))
        async with await server.session(query) as peer:
            for at in range(0, len(made), PIECE):
                if not await peer.send(b"".join(frame(BINARY, one) for one in made[at : at + PIECE])):
                    break
                await peer.hear(lambda heard: heard.close_code is not None, within_s=0)
            await peer.send(frame(TEXT, b'{"type":"close"}'))
            return str(await peer.hear(lambda heard: heard.close_code is not None))

    return Attack(
        name=name,
        run=run,
        right=tuple(right),
        times=2,
        wire=False,
        peak_bytes=DECODER_BYTES,
        kept_bytes=DECODER_BYTES,
    )


def _opus_without_sense(chance: random.Random) -> list[bytes]:
    """Packets by their first byte, filled with noise."""
    return [bytes((0x48,)) + chance.randbytes(chance.randint(1, 200)) for _ in range(MOST)]


def _no_opus(chance: random.Random) -> list[bytes]:
    """Code 3 packets that say 63 frames: 120 ms is the most (RFC 6716 §3.4)."""
    return [bytes((0x4B, 0x3F)) + chance.randbytes(50) for _ in range(MOST)]


def _padding(chance: random.Random) -> list[bytes]:
    """Good packets of 20 ms, each filled up to nearly 60 KiB: 3 MB a second of audio."""
    good = opus_packets(1, seed=3)
    return [bloated(chance.choice(good), 61_000) for _ in range(200)]


def _now_and_then(chance: random.Random) -> list[bytes]:
    """49 bad ones, a good one: never 50 in a row."""
    good = opus_packets(1, seed=3)
    return [
        good[turn // 50 % len(good)] if turn % 50 == 49 else bytes((0x4B, 0x3F)) + chance.randbytes(20)
        for turn in range(MOST)
    ]


def _noise(chance: random.Random) -> list[bytes]:
    return [chance.randbytes(chance.randint(0, 400)) for _ in range(MOST)]


def _aac_without_sense(chance: random.Random) -> list[bytes]:
    """ADTS headers that are right, blocks that are noise."""
    frames = aac_messages(noisy_pcm(1, seed=5), 16_000)
    return [one[:7] + chance.randbytes(len(one) - 7) for one in frames * (600 // len(frames))]


def _no_aac(chance: random.Random) -> list[bytes]:
    """Lengths that are not the message's."""
    return [b"\xff\xf1\x60\x40" + chance.randbytes(40) for _ in range(MOST)]


def _tagged(*tags: int) -> Callable[[random.Random], list[bytes]]:
    return lambda _: [bytes((tags[turn % len(tags)],)) + bytes(320) for turn in range(500)]


async def _huge_packet(server: Server) -> str:
    """64 KiB that are one Opus packet by their first byte: RFC 6716 has frames of at most 1,275 bytes."""
    async with await server.session("codec=opus") as peer:
        await peer.send(frame(BINARY, b"\x48" + bytes(65_000)) * 50)
        return str(await peer.hear(lambda heard: heard.close_code is not None))


async def _odd_cuts(server: Server) -> str:
    """PCM of 16 bits in messages of an odd number of bytes, across two channels: half samples on both."""
    async with await server.session("codec=pcm16&channels=2") as peer:
        for turn in range(200):
            await peer.send(frame(BINARY, bytes((1 + turn % 2,)) + bytes(turn % 7)))
        await peer.send(frame(TEXT, b'{"type":"close"}'))
        return str(await peer.hear(lambda heard: heard.close_code is not None))


TWO = "codec=pcm16&channels=2"
ATTACKS = (
    streams("Opus: packets of noise", "codec=opus", _opus_without_sense, ENDS),
    streams("Opus: packets that cannot be", "codec=opus", _no_opus, GIVEN_UP),
    streams("Opus: packets of padding", "codec=opus", _padding, GIVEN_UP),
    streams("Opus: a good one among 50", "codec=opus", _now_and_then, ENDS),
    streams("Opus: any bytes", "codec=opus", _noise, (*ENDS, *GIVEN_UP)),
    streams("Opus in two channels: packets of noise", "codec=opus&channels=2", _noise, (*ENDS, *GIVEN_UP)),
    streams("AAC: blocks of noise", "codec=aac&sample_rate=16000", _aac_without_sense, ENDS),
    streams(
        "AAC: wrong lengths", "codec=aac&sample_rate=16000", _no_aac, (*GIVEN_UP, "close 1003 bad_parameter")
    ),
    streams("AAC: any bytes", "codec=aac&sample_rate=16000", _noise, GIVEN_UP),
    streams("PCM: any bytes", "codec=pcm16", _noise, ENDS),
    streams("channel 0", TWO, _tagged(0), GIVEN_UP),
    streams("channel 3", TWO, _tagged(3), GIVEN_UP),
    streams("channel 255", TWO, _tagged(255), GIVEN_UP),
    streams("channel 1 and none", TWO, _tagged(1, 0), ENDS),
    streams("only channel 2", TWO, _tagged(2), ENDS),
    streams("empty messages in two channels", TWO, lambda _: [b""] * 40, ENDS),
    streams("channels without audio", TWO, lambda _: [b"\1", b"\2"] * 200, (*ENDS, *GIVEN_UP)),
    Attack(name="Opus: packets of 64 KiB", run=_huge_packet, right=GIVEN_UP, times=2, wire=False),
    Attack(name="half samples in two channels", run=_odd_cuts, right=ENDS, times=2, wire=False),
)
