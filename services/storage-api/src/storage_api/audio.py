"""`GET`, `HEAD …/{cid}/audio`: the recording as one file, with what waits in Redis in it."""

import zlib
from bisect import bisect_left, bisect_right
from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from audiocodec.pcm import SAMPLE_RATES
from audiocodec.wav import wav_header
from servicekit.problem import ProblemError
from storage_api.access import caller_of, conversation_of
from storage_api.audio_format import MEDIA_TYPES, Format, wanted_format
from storage_api.audio_plan import AudioPlan, Selection, check, look_ahead, plan
from storage_api.audio_stream import AudioStream
from storage_api.audio_tag import audio_tag
from storage_api.byte_range import byte_range
from storage_api.chunks import Row, chunk_rows
from storage_api.loading import Loader
from storage_api.moments import rfc3339, unix_seconds
from storage_api.ogg_length import Rehearsal, ogg_length
from storage_api.ogg_rendering import OggRendering
from storage_api.parameters import Parameters, bad_parameter
from storage_api.pcm_rendering import PcmForm
from storage_api.recording import Recording, live_unavailable
from storage_api.services import LIVE_HEADER, MISSING_HEADER, Services
from storage_api.streamed_response import StreamedResponse
from storage_api.timeline import Live, timeline
from storage_api.validators import is_known, range_holds

T = TypeVar("T", bound=OggRendering)

PARAMETERS: Final = ("format", "start", "end", "timestamps", "fill_gaps", "sample_rate", "channels", "strict")

MAX_PLANS: Final = 3
"""How often an answer is planned anew because objects turned out to be unreadable. After that they are only left out."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the query asks for."""

    format: Format
    start_48k: int | None
    end_48k: int | None
    timestamps_ms: tuple[int, ...]
    fill_gaps: bool
    sample_rate: int | None
    channels: int | None
    strict: bool


async def audio(request: Request) -> Response:
    """The answer, once it is known what will be in it."""
    services = Services.of(request)
    actor = await services.access.allow(request, "audio:read")
    conversation = conversation_of(request)
    wanted = read_query(request)
    with ExitStack() as held:
        held.enter_context(services.downloads.slot(caller_of(actor, conversation.uid)))
        recording, audio_plan = await _plan(services, await services.recordings.find(conversation), wanted)
        loader = Loader(services.recordings, recording, services.workers)
        headers = await _headers(services, recording, wanted, audio_plan)
        if is_known(request.headers.get("if-none-match"), headers["ETag"]):
            return Response(status_code=304, headers=headers)
        headers["Content-Disposition"] = _disposition(recording, wanted, audio_plan)
        stream = AudioStream(audio_plan, loader, services.workers)
        if wanted.format == "ogg":
            body, status = await _ogg(request, recording, wanted, audio_plan, stream, loader, headers)
        else:
            body, status = _pcm(request, pcm_form(recording, wanted), wanted, audio_plan, stream, headers)
        return StreamedResponse(
            body,
            status=status,
            headers=headers,
            media_type=MEDIA_TYPES[wanted.format],
            held=held.pop_all(),
            on_broken=services.metrics.broken.inc,
        )


def read_query(request: Request) -> Wanted:
    """The query, checked. ProblemError 400, 406."""
    parameters = Parameters(request.query_params, PARAMETERS)
    kind = wanted_format(parameters, request.headers.get("accept"))
    start, end = parameters.window()
    wanted = Wanted(
        format=kind,
        start_48k=start,
        end_48k=end,
        timestamps_ms=parameters.timestamps(),
        fill_gaps=parameters.flag("fill_gaps") is not False,
        sample_rate=parameters.sample_rate(),
        channels=parameters.channels(),
        strict=parameters.flag("strict") is True,
    )
    for name in ("sample_rate", "channels"):
        if kind == "ogg" and getattr(wanted, name) is not None:
            raise bad_parameter(
                name, "cannot be chosen for ogg, which copies packets as they are; ask for wav or pcm"
            )
    return wanted


async def _plan(services: Services, recording: Recording, wanted: Wanted) -> tuple[Recording, AudioPlan]:
    """The plan, and the recording as it is known by then: what turns out to be unreadable, others may hold as well."""
    plans = 0
    while True:
        plans += 1
        selected = Selection.of(recording)
        if wanted.timestamps_ms:
            selected = _selected(recording, wanted.timestamps_ms)
        drafted = plan(selected, wanted.start_48k, wanted.end_48k, fill_gaps=wanted.fill_gaps)
        loader = Loader(services.recordings, recording, services.workers)
        audio_plan = await look_ahead(drafted, loader, whole=wanted.strict)
        if audio_plan.missing == drafted.missing or plans == MAX_PLANS:
            break
        recording = await services.recordings.judged_again(recording)
    check(audio_plan, strict=wanted.strict, live_known=recording.tail is not None)
    return recording, audio_plan


def _selected(recording: Recording, timestamps_ms: tuple[int, ...]) -> Selection:
    """The chunks that begin at these times, or, where none does, hold them: whole, each once. ProblemError 404 `no_audio`, 503 where they may wait."""
    rows = _rows_at(recording, timestamps_ms)
    if not rows:
        if recording.tail is None:
            raise live_unavailable()
        raise ProblemError(404, "no_audio", "no chunk begins or lies at these timestamps")
    sources = frozenset(source for row in rows for source in row.sources)
    readable = timeline(piece for piece in recording.pieces if piece.source in sources)
    unreadable = tuple(row.stored for row in rows if row.stored is not None and row.chunk.unreadable)
    return Selection(readable, unreadable, 0)


def _rows_at(recording: Recording, timestamps_ms: tuple[int, ...]) -> list[Row]:
    """For each time those that begin there; else the one that is played there; else those that hold it, and are not played."""
    rows = chunk_rows(recording, "standard")
    beginning: dict[int, list[Row]] = {}
    for row in rows:
        beginning.setdefault(row.start_ms, []).append(row)
    starts = [row.start_ms for row in rows]  # in this order they are listed
    longest_ms = max((row.end_ms - row.start_ms for row in rows), default=0)
    found: dict[tuple[int, str, bool], Row] = {}
    for at_ms in dict.fromkeys(timestamps_ms):
        there = beginning.get(at_ms)
        if there is None:
            near = rows[bisect_right(starts, at_ms - longest_ms) : bisect_left(starts, at_ms)]
            holding = [row for row in near if at_ms < row.end_ms]
            playing = recording.timeline.playing(at_ms * 48)
            there = [row for row in holding if playing in row.sources] or holding
        found |= {row.key: row for row in there}
    return list(found.values())


def pcm_form(recording: Recording, wanted: Wanted) -> PcmForm:
    """The recording's own rate and channels (its first run's), or those that are asked for."""
    rate, channels = recording.first_form
    opus_rate = next((known for known in SAMPLE_RATES if known >= rate), SAMPLE_RATES[-1])
    return PcmForm(wanted.sample_rate or opus_rate, wanted.channels or channels)


async def _headers(
    services: Services, recording: Recording, wanted: Wanted, audio_plan: AudioPlan
) -> dict[str, str]:
    """Those that 304 has as well."""
    conversation = recording.conversation
    storable = await services.protection(conversation.uid) == "standard" and not _any_sealed(
        recording, audio_plan
    )
    headers = {
        "Cache-Control": "private, no-cache" if storable else "private, no-store",
        "ETag": _tag(services, recording, wanted, audio_plan),
        "Vary": "Accept, Authorization",
        "X-Content-Type-Options": "nosniff",
        MISSING_HEADER: str(audio_plan.missing),
    }
    if recording.tail is None:
        headers[LIVE_HEADER] = "unavailable"
    return headers


def _disposition(recording: Recording, wanted: Wanted, audio_plan: AudioPlan) -> str:
    start = unix_seconds(audio_plan.start_48k // 48)
    return f'attachment; filename="{recording.conversation.cid}_{start}.{wanted.format}"'


def _tag(services: Services, recording: Recording, wanted: Wanted, audio_plan: AudioPlan) -> str:
    if wanted.format == "ogg":
        encoding = services.encoding
        return audio_tag(recording, audio_plan, "ogg", encoding.bitrate, encoding.complexity)
    form = pcm_form(recording, wanted)
    return audio_tag(recording, audio_plan, wanted.format, form.sample_rate, form.channels)


def _any_sealed(recording: Recording, audio_plan: AudioPlan) -> bool:
    """Whether anything in the answer comes out of a sealed object, ours or older."""
    sealed = {stored.info.name for stored in recording.objects if stored.name.sealed}
    plays = (play for part in audio_plan.parts for play in part.passage.plays)
    return any(not isinstance(play.piece.source, Live) and play.piece.source.name in sealed for play in plays)


async def _ogg(
    request: Request,
    recording: Recording,
    wanted: Wanted,
    audio_plan: AudioPlan,
    stream: AudioStream,
    loader: Loader,
    headers: dict[str, str],
) -> tuple[Callable[[], AsyncGenerator[bytes]], int]:
    """The body and its status; adds to the headers what is known of it."""
    services = Services.of(request)
    rate, channels = recording.first_form
    conversation = recording.conversation

    def rendering(made: type[T]) -> T:
        return made(
            channels=channels,
            sample_rate=rate,
            comments=[
                ("TITLE", conversation.cid),
                ("DATE", rfc3339(audio_plan.start_48k)),
                ("TAPEDECK_CONVERSATION", conversation.cid),
                ("TAPEDECK_START", unix_seconds(audio_plan.start_48k // 48)),
            ],
            serial=zlib.crc32(f"{conversation.tag}@{audio_plan.start_48k}".encode()),
            fill_gaps=wanted.fill_gaps,
            encoding=services.encoding,
        )

    length = await ogg_length(rendering(Rehearsal), audio_plan, recording, loader, services.workers)
    if length is None:
        headers["Accept-Ranges"] = "none"
        return lambda: stream.ogg(rendering(OggRendering)), 200
    first, end, status = _part(request, length.size, headers)
    return lambda: stream.ogg_range(rendering(OggRendering), length, first, end), status


def _part(request: Request, size: int, headers: dict[str, str]) -> tuple[int, int, int]:
    """Which bytes are answered, the end excluded, and the status; adds to the headers what they say of it. ProblemError 416."""
    # Range is defined for GET alone (RFC 9110 §14.2).
    ranged = request.method == "GET" and range_holds(request.headers.get("if-range"), headers["ETag"])
    part = byte_range(request.headers.get("range"), size) if ranged else None
    first, end = part or (0, size)
    headers["Accept-Ranges"] = "bytes"
    headers["Content-Length"] = str(end - first)
    if part:
        headers["Content-Range"] = f"bytes {first}-{end - 1}/{size}"
    return first, end, 206 if part else 200


def _pcm(
    request: Request,
    form: PcmForm,
    wanted: Wanted,
    audio_plan: AudioPlan,
    stream: AudioStream,
    headers: dict[str, str],
) -> tuple[Callable[[], AsyncGenerator[bytes]], int]:
    """The body and its status; adds to the headers what is known of it."""
    data_bytes = form.frames(audio_plan.samples) * form.frame_bytes
    head = wav_header(form.sample_rate, form.channels, data_bytes) if wanted.format == "wav" else b""
    first, end, status = _part(request, len(head) + data_bytes, headers)
    headers["Tapedeck-Sample-Rate"] = str(form.sample_rate)
    headers["Tapedeck-Channels"] = str(form.channels)

    async def body() -> AsyncGenerator[bytes]:
        if first < len(head):
            yield head[first:end]
        if end > len(head):
            async for block in stream.pcm(form, max(0, first - len(head)), end - len(head)):
                yield block

    return body, status
