"""Audio: what of it is wanted, and what the head of an answer tells of it. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import httpx

from tapedeck.storage.calls import Moment, conversation_path, given, live_known, moment, moments
from tapedeck.storage.plan import Request
from tapedeck.storage_types import AudioFileFormat

MEDIA_TYPES: Mapping[AudioFileFormat, str] = {
    "ogg": "audio/ogg",
    "wav": "audio/wav",
    "pcm": "application/octet-stream",
}

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)\Z", re.ASCII)
_UNSATISFIED = re.compile(r"bytes \*/(\d{1,18})\Z", re.ASCII)
_FILE_NAME = re.compile(r'filename="([^"\\/\x00-\x1f]{1,255})"')


@dataclass(frozen=True, slots=True)
class AudioRequest:
    """What of a conversation's audio is wanted, and how."""

    format: AudioFileFormat = "ogg"
    """`ogg` copies packets; `wav` and `pcm` (s16le) decode."""
    start: Moment | None = None
    """Only from this time on: a datetime with its zone, RFC 3339, or unix seconds."""
    end: Moment | None = None
    """Only before this time."""
    fill_gaps: bool = True
    """Gaps are silence, so that position is clock time; False leaves them out."""
    timestamps: tuple[Moment, ...] = ()
    """Only the chunks that begin at these times, or hold them; not together with start or end."""
    sample_rate: int | None = None
    """Hz, for `wav` and `pcm`: 8000, 12000, 16000, 24000 or 48000; None: the recording's own."""
    channels: int | None = None
    """1 or 2, for `wav` and `pcm`; None: the recording's own."""
    strict: bool = False
    """Anything missing is an error (ServerError `incomplete`) before the first byte."""

    def query(self) -> tuple[tuple[str, str], ...]:
        """The query parameters. Raises BadRequestError for a time that is none."""
        return given(
            {
                "format": self.format,
                "fill_gaps": "true" if self.fill_gaps else "false",
                "start": moment(self.start),
                "end": moment(self.end),
                "timestamps": moments(self.timestamps),
                "sample_rate": _text(self.sample_rate),
                "channels": _text(self.channels),
                "strict": "true" if self.strict else None,
            }
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """A conversation's audio, as it is asked for."""

    uid: str
    conversation_id: str
    audio: AudioRequest

    def request(self, method: str, headers: tuple[tuple[str, str], ...] = ()) -> Request:
        """The request. Raises BadRequestError for an empty name or a time that is none."""
        path = conversation_path(self.uid, self.conversation_id, "/audio")
        return Request(method, path, self.audio.query(), headers)


@dataclass(frozen=True, slots=True)
class AudioFacts:
    """What the head of an answer tells of the audio."""

    media_type: str
    """With its parameters: `audio/ogg; codecs=opus`."""
    total_bytes: int | None
    """Of the whole; None where the server can't know it yet."""
    etag: str | None
    """Of these very bytes; None where it says nothing for sure."""
    resumable: bool
    """Whether what breaks can go on where it broke."""
    missing: int
    """How many chunks could not be read (`Tapedeck-Missing`): silence, or left out."""
    live_known: bool
    """False: what waits to be stored could not be read, and is missing (`Tapedeck-Live: unavailable`)."""
    sample_rate: int | None
    """Hz; of `wav` and `pcm`."""
    channels: int | None
    """Of `wav` and `pcm`."""
    file_name: str | None
    """What the server would call the file."""


def facts(response: httpx.Response) -> AudioFacts:
    """What the head tells."""
    headers = response.headers
    etag = headers.get("ETag", "")
    strong = etag if re.fullmatch(r'"[\x21\x23-\x7e]*"', etag) else None
    if response.status_code == HTTPStatus.PARTIAL_CONTENT:
        part = content_range(response)
        total = part[1] if part else None
    else:
        total = number(headers.get("Content-Length", ""))
    name = _FILE_NAME.search(headers.get("Content-Disposition", ""))
    return AudioFacts(
        media_type=headers.get("Content-Type", ""),
        total_bytes=total,
        etag=strong,
        resumable=strong is not None and headers.get("Accept-Ranges") == "bytes",
        missing=number(headers.get("Tapedeck-Missing", "")) or 0,
        live_known=live_known(response),
        sample_rate=number(headers.get("Tapedeck-Sample-Rate", "")),
        channels=number(headers.get("Tapedeck-Channels", "")),
        file_name=name[1] if name and name[1] not in (".", "..") else None,
    )


def content_range(response: httpx.Response) -> tuple[int, int | None] | None:
    """Where the body begins in the whole, and how long that is (RFC 9110 §14.4). None: it does not say."""
    match = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
    if match is None:
        return None
    return int(match[1]), number(match[3])


def total_bytes(response: httpx.Response) -> int | None:
    """How long the whole is, as 416 tells it (RFC 9110 §15.5.17). None: it does not say."""
    match = _UNSATISFIED.match(response.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def number(text: str) -> int | None:
    """A number of plain digits; None for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else None


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)
