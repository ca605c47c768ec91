"""The bytes of an audio answer: all of it, or the part that `Range` asks for, and the headers that say which.

Owns status, length and range. Knows how long an answer is before it is made, where that can be known.
"""

import zlib
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from starlette.requests import Request

from audiocodec.wav import wav_header
from storage_api.audio_plan import AudioPlan
from storage_api.audio_stream import AudioStream
from storage_api.byte_range import byte_range
from storage_api.loading import Loader
from storage_api.moments import rfc3339, unix_seconds
from storage_api.ogg_length import Rehearsal, ogg_length
from storage_api.ogg_rendering import OggRendering
from storage_api.older_stream import Encoding
from storage_api.pcm_rendering import PcmForm
from storage_api.recording import Recording
from storage_api.validators import range_holds
from storage_api.workers import Workers

T = TypeVar("T", bound=OggRendering)


@dataclass(frozen=True, slots=True)
class AudioBody:
    """What is answered of an answer."""

    make: Callable[[], AsyncGenerator[bytes]] | None
    """None where only the headers are answered."""
    status: int
    headers: Mapping[str, str]
    """Those that the answer has; of a part of it what is known of its length and its form."""


async def ogg_body(
    request: Request,
    tag: str,
    recording: Recording,
    audio: AudioPlan,
    encoding: Encoding,
    loader: Loader,
    workers: Workers,
) -> AudioBody:
    """SourceGoneError: an object is not there any more. ProblemError 416."""
    rate, channels = recording.first_form
    conversation = recording.conversation

    def rendering(made: type[T]) -> T:
        return made(
            channels=channels,
            sample_rate=rate,
            comments=[
                ("TITLE", conversation.cid),
                ("DATE", rfc3339(audio.start_48k)),
                ("TAPEDECK_CONVERSATION", conversation.cid),
                ("TAPEDECK_START", unix_seconds(audio.start_48k // 48)),
            ],
            serial=zlib.crc32(f"{conversation.tag}@{audio.start_48k}".encode()),
            fill_gaps=audio.fill_gaps,
            encoding=encoding,
        )

    stream = AudioStream(audio, loader, workers)
    length = await ogg_length(rendering(Rehearsal), audio, recording, loader, workers)
    if length is None:
        return AudioBody(lambda: stream.ogg(rendering(OggRendering)), 200, {"Accept-Ranges": "none"})
    known = length
    first, end, status, headers = _part(request, tag, known.size)
    return AudioBody(lambda: stream.ogg_range(rendering(OggRendering), known, first, end), status, headers)


def pcm_body(
    request: Request,
    tag: str,
    audio: AudioPlan,
    form: PcmForm,
    loader: Loader,
    workers: Workers,
    *,
    wav: bool,
) -> AudioBody:
    """ProblemError 416."""
    stream = AudioStream(audio, loader, workers)
    data_bytes = form.frames(audio.samples) * form.frame_bytes
    head = wav_header(form.sample_rate, form.channels, data_bytes) if wav else b""
    first, end, status, headers = _part(request, tag, len(head) + data_bytes)
    headers["Tapedeck-Sample-Rate"] = str(form.sample_rate)
    headers["Tapedeck-Channels"] = str(form.channels)

    async def body() -> AsyncGenerator[bytes]:
        if first < len(head):
            yield head[first:end]
        if end > len(head):
            async for block in stream.pcm(form, max(0, first - len(head)), end - len(head)):
                yield block

    return AudioBody(body, status, headers)


def _part(request: Request, tag: str, size: int) -> tuple[int, int, int, dict[str, str]]:
    """Which bytes are answered, the end excluded, the status, and the headers that say so. ProblemError 416."""
    # Range is defined for GET alone (RFC 9110 §14.2).
    ranged = request.method == "GET" and range_holds(request.headers.get("if-range"), tag)
    part = byte_range(request.headers.get("range"), size) if ranged else None
    first, end = part or (0, size)
    headers = {"Accept-Ranges": "bytes", "Content-Length": str(end - first)}
    if part:
        headers["Content-Range"] = f"bytes {first}-{end - 1}/{size}"
    return first, end, 206 if part else 200, headers
