"""One recording sent from a file: encoded if wanted, in one channel or two, at full speed or in real time.

Owns the order: mark, audio, finalize, close. Shows nothing: `watch` is told where it stands.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from tapedeck.audio_file import AudioSource
from tapedeck.audio_format import AudioFormat, codec_rate
from tapedeck.errors import ListenError
from tapedeck.listen_client import ListenClient
from tapedeck.listen_options import ListenOptions, Progress, Token
from tapedeck.payloads import Payloads
from tapedeck.send_codec import SendCodec

PIECE_MS = 100
"""Of PCM in one message, and how far two channels are apart on the wire: the server fills one that is 200 ms behind with silence."""

Watch = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a recording; bytes are payload bytes."""

    name: str
    conversation_id: str
    session: str
    codec: SendCodec
    sample_rate: int
    channels: int
    seconds: float
    messages: int
    sent_bytes: int
    acked_bytes: int
    stored_bytes: int
    stored: bool
    """Whether all of it is in the store already; it was acked in any case."""
    reconnects: int


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be sent."""

    source: AudioSource
    codec: SendCodec = "pcm16"
    realtime: bool = False
    start_ms: int | None = None
    """When the first sample was captured; None: now, which is right for real time."""
    conversation_id: str | None = None
    patience_s: float | None = 60.0
    first_patience_s: float | None = None
    """How long where nobody listens at the address (`ListenOptions`); None: as long."""


async def send(url: str, token: Token, job: Job, watch: Watch) -> Sent:
    """Send it all and wait until it is stored (at most 15 s) and safe. Raises ListenError and AudioFileError."""
    rate, channels = codec_rate(job.codec, job.source.sample_rate), job.source.channels
    source = replace(job.source, sample_rate=rate)
    payloads = Payloads(job.codec, rate, channels)
    audio = AudioFormat(job.codec, rate, channels, payloads.pre_skip)
    options = ListenOptions(
        conversation_id=job.conversation_id,
        patience_s=job.patience_s,
        first_patience_s=job.first_patience_s,
    )
    messages, pcm_bytes = 0, 0
    async with ListenClient(url, token, audio, options) as client:
        watching = asyncio.create_task(_watch(client, watch), name="progress")
        try:
            await client.mark(job.start_ms if job.start_ms is not None else time.time_ns() // 1_000_000)
            began = time.monotonic()
            for pcm, tagged in _pieces(source, payloads):
                for channel, payload in tagged:
                    await client.send(payload, channel)
                    messages += 1
                pcm_bytes += len(pcm)
                if job.realtime:
                    ahead_s = pcm_bytes / (2 * channels * rate) - (time.monotonic() - began)
                    await asyncio.sleep(max(0.0, ahead_s))
                else:
                    await asyncio.sleep(
                        0
                    )  # reading and encoding take their time: let the socket have its turn
            finalized = await client.finalize()
            conversation_id = await client.ready()
            session = client.progress.session or ""
            await client.close()
        finally:
            watching.cancel()
            with contextlib.suppress(
                asyncio.CancelledError, ListenError
            ):  # what failed is raised by the calls above
                await watching
    progress = client.progress
    watch(progress)
    return Sent(
        name=job.source.name,
        conversation_id=conversation_id,
        session=session,
        codec=job.codec,
        sample_rate=rate,
        channels=channels,
        seconds=pcm_bytes / (2 * channels * rate),
        messages=messages,
        sent_bytes=progress.sent_bytes,
        acked_bytes=progress.acked_bytes,
        stored_bytes=progress.stored_bytes,
        stored=finalized.stored,
        reconnects=progress.reconnects,
    )


def _pieces(source: AudioSource, payloads: Payloads) -> Iterator[tuple[bytes, list[tuple[int, bytes]]]]:
    """The audio in pieces, and the messages for each with their channels."""
    for pcm in source.pieces(source.sample_rate * PIECE_MS // 1000 * 2 * source.channels):
        yield pcm, payloads.encode(pcm)
    yield b"", payloads.finish()


async def _watch(client: ListenClient, watch: Watch) -> None:
    while True:
        watch(await client.changed())
