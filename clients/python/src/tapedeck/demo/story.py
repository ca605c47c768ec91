"""The demonstration itself, against any running system: send, show, play back, compare.

Owns the order and what is printed; what is good enough is decided in `proof`.
"""

import time
from dataclasses import dataclass

from rich.console import Console

from audiocodec.encoder import Encoder
from audiocodec.ogg import read_ogg_opus
from audiocodec.packet import packet_facts
from audiocodec.wav import read_wav
from tapedeck import AsyncStorageClient, AudioRequest, sample
from tapedeck.audio_file import AudioSource, open_source
from tapedeck.demo.proof import (
    ProofLine,
    packet_line,
    samples_of,
    sending_lines,
    size_line,
    sound_lines,
)
from tapedeck.send_codec import SendCodec
from tapedeck.sending import Job, Sent, send
from tapedeck.storage_types import Chunk


@dataclass(frozen=True, slots=True)
class Place:
    """Where the system is, and as whom it is used."""

    listen_url: str
    storage_url: str
    uid: str
    token: str


async def demonstrate(place: Place, console: Console) -> bool:
    """Send the sample twice, show what is stored, prove that it plays back right. Whether every line held."""
    source = open_source(str(sample.PATH), None)
    console.print(
        f"\nSending {source.seconds:.1f} s of speech as PCM and, encoded by the sender, as Opus …",
        highlight=False,
    )
    recordings = [await _record(place, source, codec) for codec in ("pcm16", "opus")]
    async with AsyncStorageClient(place.storage_url, place.token) as client:
        chunks = {}
        for sent in recordings:
            await client.flush(place.uid, sent.conversation_id)
            chunks[sent.codec] = [chunk async for chunk in client.chunks(place.uid, sent.conversation_id)]
        _show_objects([chunk for found in chunks.values() for chunk in found], console)
        audio = {
            (sent.codec, form): (
                await client.audio(place.uid, sent.conversation_id, AudioRequest(form))
            ).content
            for sent in recordings
            for form in ("wav", "ogg")
        }
    pcm = b"".join(source.pieces())
    packets, padding = _packets(source, pcm)
    back = read_ogg_opus(audio["opus", "ogg"]).packets
    stored_bytes = sum(chunk.size or 0 for chunk in chunks["pcm16"])
    decoded = sum(packet_facts(packet).samples for packet in read_ogg_opus(audio["pcm16", "ogg"]).packets)
    lines = [line for sent in recordings for line in sending_lines(sent)]
    lines += sound_lines("pcm16", samples_of(pcm), samples_of(read_wav(audio["pcm16", "wav"]).pcm))
    lines.append(size_line(stored_bytes, len(pcm)))
    lines.append(
        ProofLine(
            "pcm16: as Ogg Opus it holds the whole time too",
            f"{decoded / 48000:.2f} s of packets for {len(pcm) / 2 / source.sample_rate:.2f} s",
            decoded * source.sample_rate >= len(pcm) // 2 * 48000,
        )
    )
    lines.append(packet_line(packets, back))
    lines += sound_lines(
        "opus", samples_of(pcm), samples_of(read_wav(audio["opus", "wav"]).pcm), extra_samples=padding
    )
    _show_lines(lines, console)
    return all(line.ok for line in lines)


async def _record(place: Place, source: AudioSource, codec: SendCodec) -> Sent:
    """One recording that ends now, into a conversation whose name says what it is."""
    now_ms = time.time_ns() // 1_000_000
    name = f"demo-{codec}-{time.strftime('%Y%m%d-%H%M%S')}"
    start_ms = now_ms - round((source.seconds or 0) * 1000)
    job = Job(source, codec, realtime=False, start_ms=start_ms, conversation_id=name)
    return await send(place.listen_url, place.token, job, lambda _: None)


def _packets(source: AudioSource, pcm: bytes) -> tuple[list[bytes], int]:
    """What was sent as Opus (the encoder is deterministic), and the samples that the sender's padding adds."""
    encoder = Encoder(source.sample_rate)
    packets = encoder.encode(pcm)
    last, _ = encoder.finish()
    packets += last
    played = sum(packet_facts(packet).samples for packet in packets) - encoder.lookahead
    return packets, played * source.sample_rate // 48000 - len(pcm) // 2


def _show_objects(chunks: list[Chunk], console: Console) -> None:
    console.print("\nStored objects\n   seconds    bytes  object")
    for chunk in chunks:
        size = "" if chunk.size is None else str(chunk.size)
        line = f"  {chunk.duration_ms / 1000:8.3f} {size:>8}  {chunk.path or '(still waiting)'}"
        console.print(line, highlight=False, markup=False)


def _show_lines(lines: list[ProofLine], console: Console) -> None:
    console.print("\nThe proof")
    for line in lines:
        word = "[green]ok    [/]" if line.ok else "[red]FAILED[/]"
        console.print(f"  {word}  {line.claim}: {line.found}", highlight=False, soft_wrap=True)
