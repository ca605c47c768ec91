"""The requests that read, once: arguments in, what is to be done out. Methods of both clients are made of these functions.

All raise StorageError, in the kinds that `tapedeck.errors` draws: BadRequestError as well for an empty name or a time that is none, before anything is sent. A time is a
datetime with its zone, RFC 3339, or unix seconds; an `end` is exclusive.
"""

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx
import msgspec

from tapedeck.download_file import ToFile
from tapedeck.errors import UnexpectedAnswerError
from tapedeck.storage.answers import decoded, where
from tapedeck.storage.audio import AudioFacts, AudioRequest, Wanted, facts, number
from tapedeck.storage.audio_body import AudioBody
from tapedeck.storage.caller import Caller
from tapedeck.storage.calls import (
    Call,
    Moment,
    call,
    conversation_path,
    live_known,
    moment,
    user_path,
    with_live,
)
from tapedeck.storage.collecting import InMemory, Progress
from tapedeck.storage.paging import Listed
from tapedeck.storage.plan import Drop, Plan, Take
from tapedeck.storage_types import (
    Chunk,
    ChunkPage,
    Conversation,
    ConversationPage,
    Gap,
    Recordings,
    Waveform,
)

PAGE_SIZE = 100
IN_MEMORY_BYTES = 256 * 1024 * 1024


def conversations(
    uid: str, *, live: bool | None = None, page_size: int = PAGE_SIZE, page_token: str | None = None
) -> Listed[Conversation, ConversationPage]:
    """A user's conversations, newest first.

    `live`: only those that are live, or are not. `page_size`: 1 to 1,000 a request; `page_token`: begin with this page.
    """
    wanted = None if live is None else str(live).lower()
    return Listed(
        lambda token: with_live(
            call(
                ConversationPage,
                "GET",
                user_path(uid, "/conversations"),
                {"page_size": str(page_size), "live": wanted, "page_token": token},
            )
        ),
        lambda page: page.conversations,
        page_token,
    )


def conversation(uid: str, conversation_id: str) -> Call[Conversation]:
    """One conversation. NotFoundError: nobody has recorded into it, or not for this token."""
    return with_live(call(Conversation, "GET", conversation_path(uid, conversation_id)))


def chunks(
    uid: str,
    conversation_id: str,
    *,
    start: Moment | None = None,
    end: Moment | None = None,
    page_size: int = PAGE_SIZE,
    page_token: str | None = None,
) -> Listed[Chunk, ChunkPage]:
    """Every chunk of a conversation in order of time, stored or waiting; `pages()` has the gaps as well."""
    return Listed(
        lambda token: _chunk_page(uid, conversation_id, start, end, page_size, token),
        lambda page: page.chunks,
        page_token,
    )


def gaps(
    uid: str,
    conversation_id: str,
    *,
    start: Moment | None = None,
    end: Moment | None = None,
    page_size: int = PAGE_SIZE,
) -> Listed[Gap, ChunkPage]:
    """The gaps of a conversation in order of time. `page_size` counts chunks."""
    return Listed(
        lambda token: _chunk_page(uid, conversation_id, start, end, page_size, token),
        lambda page: page.gaps,
    )


def recordings(uid: str, conversation_id: str, *, max_gap_s: float | None = None) -> Call[Recordings]:
    """The stretches that belong together: a gap longer than `max_gap_s` (seconds; None: the server's 90) splits."""
    query = {"max_gap_s": None if max_gap_s is None else f"{max_gap_s:g}"}
    return with_live(call(Recordings, "GET", conversation_path(uid, conversation_id, "/recordings"), query))


def audio(
    uid: str,
    conversation_id: str,
    request: AudioRequest | None = None,
    *,
    max_bytes: int = IN_MEMORY_BYTES,
) -> InMemory:
    """The audio, whole, in memory: for what is small. What breaks goes on where it broke.

    TooBigError: more than `max_bytes`. NotFoundError: there is no audio in what was asked for.
    """
    return InMemory(_wanted(uid, conversation_id, request), max_bytes)


def audio_facts(uid: str, conversation_id: str, request: AudioRequest | None = None) -> "Head":
    """What the head of `audio` tells, without the audio: its length where it can be known, ETag, what is missing."""
    return Head(_wanted(uid, conversation_id, request))


def download_audio(
    uid: str,
    conversation_id: str,
    target: str | os.PathLike[str],
    request: AudioRequest | None = None,
    *,
    progress: Progress | None = None,
) -> ToFile:
    """The audio into the file `target`, which appears when it is whole, and replaces what was there.

    What breaks goes on where it broke, also in a later call: what has come waits in `….part`. Where the audio has changed meanwhile, it is
    got again from the start. `progress` is told the bytes so far, and of how many (None: not known).
    TargetFileError: it can't be written, another download writes it, or the system has no file locks of POSIX. ChangedError: it changed each time that it broke.
    """
    return ToFile(_wanted(uid, conversation_id, request), Path(target), progress)


def stream_audio(
    uid: str,
    conversation_id: str,
    request: AudioRequest | None = None,
    *,
    offset: int = 0,
    etag: str | None = None,
) -> "Streamed":
    """The audio part by part, in a `with` (or `async with`): the head has come when it is entered.

    What breaks goes on where it broke. With the `offset` and `etag` of an earlier stream it goes on after that many bytes; its own `offset` is
    0 where that can't be. ChangedError: it broke, and is another by now. An end without an error is the end of the audio.
    """
    return Streamed(_wanted(uid, conversation_id, request), offset, etag)


def waveform(
    uid: str,
    conversation_id: str,
    *,
    samples_per_pixel: int | None = None,
    start: Moment | None = None,
    end: Moment | None = None,
) -> Call["DrawnWaveform"]:
    """Peaks of the audio, as audiowaveform and peaks.js have them. `samples_per_pixel`: None is the server's own choice."""
    pixels = None if samples_per_pixel is None else str(samples_per_pixel)
    query = {"samples_per_pixel": pixels, "start": moment(start), "end": moment(end)}
    plain = call(Waveform, "GET", conversation_path(uid, conversation_id, "/waveform"), query, answer_s=120)
    return Call(plain.request, _drawn, "always")


@dataclass(frozen=True, slots=True)
class DrawnWaveform:
    """A waveform, and what the head of the answer tells of it."""

    waveform: Waveform
    start: datetime | None
    """When the first pixel begins."""
    missing: int
    """How many chunks could not be read."""
    live_known: bool
    """False: what waits to be stored could not be read, and is missing."""


@dataclass(frozen=True, slots=True)
class Streamed:
    """Audio that is wanted part by part."""

    wanted: Wanted
    offset: int
    etag: str | None

    def body(self, caller: Caller) -> AudioBody:
        """Not begun yet."""
        return AudioBody(caller, self.wanted)


@dataclass(frozen=True, slots=True)
class Head:
    """The job of asking for the head of audio."""

    wanted: Wanted

    def plan(self, caller: Caller) -> Plan[AudioFacts]:
        """What it tells."""
        opened = yield from caller.open_surely(self.wanted.request("HEAD"))
        try:
            yield Take(
                opened
            )  # there is no body, and only what was read to its end leaves the connection open
        finally:
            yield Drop(opened)
        return facts(opened.response)


def _wanted(uid: str, conversation_id: str, request: AudioRequest | None) -> Wanted:
    return Wanted(uid, conversation_id, request if request is not None else AudioRequest())


def _chunk_page(
    uid: str,
    conversation_id: str,
    start: Moment | None,
    end: Moment | None,
    page_size: int,
    token: str | None,
) -> Call[ChunkPage]:
    query = {"start": moment(start), "end": moment(end), "page_size": str(page_size), "page_token": token}
    return with_live(call(ChunkPage, "GET", conversation_path(uid, conversation_id, "/chunks"), query))


def _drawn(response: httpx.Response, content: bytes) -> DrawnWaveform:
    found = decoded(response, content, Waveform)
    said = response.headers.get("Tapedeck-Start")
    try:
        start = None if said is None else msgspec.convert(said, datetime)
    except msgspec.ValidationError as error:
        raise UnexpectedAnswerError(f"{where(response)} begins at {said!r}, which is no time") from error
    missing = number(response.headers.get("Tapedeck-Missing", "")) or 0
    return DrawnWaveform(found, start, missing, live_known(response))
