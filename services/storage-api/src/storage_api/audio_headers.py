"""The headers of an audio answer that follow from what is in it, not from which part of it is asked for. Fetches nothing."""

from storage_api.audio_plan import AudioPlan
from storage_api.audio_query import AudioQuery
from storage_api.audio_tag import audio_tag
from storage_api.moments import unix_seconds
from storage_api.older_stream import Encoding
from storage_api.pcm_rendering import PcmForm, form_of
from storage_api.recording import Recording
from storage_api.services import LIVE_HEADER, MISSING_HEADER
from storage_api.timeline import Live


def audio_headers(
    recording: Recording, query: AudioQuery, audio: AudioPlan, encoding: Encoding, *, clear: bool
) -> dict[str, str]:
    """Those that 304 has as well. `clear`: the user's settings let caches keep audio."""
    headers = {
        "Cache-Control": "private, no-cache"
        if clear and not _any_sealed(recording, audio)
        else "private, no-store",
        "ETag": _tag(recording, query, audio, encoding),
        "Vary": "Accept, Authorization",
        "X-Content-Type-Options": "nosniff",
        MISSING_HEADER: str(audio.missing),
    }
    if recording.tail is None:
        headers[LIVE_HEADER] = "unavailable"
    return headers


def disposition(recording: Recording, query: AudioQuery, audio: AudioPlan) -> str:
    """`Content-Disposition`, with a sensible file name."""
    start = unix_seconds(audio.start_48k // 48)
    return f'attachment; filename="{recording.conversation.cid}_{start}.{query.format}"'


def pcm_form(recording: Recording, query: AudioQuery, audio: AudioPlan) -> PcmForm:
    """The recording's own rate and channels (its first run's), or those that are asked for."""
    own = form_of(*recording.first_form)
    return PcmForm(query.sample_rate or own.sample_rate, query.channels or own.channels, audio.start_48k)


def _tag(recording: Recording, query: AudioQuery, audio: AudioPlan, encoding: Encoding) -> str:
    if query.format == "ogg":
        return audio_tag(recording, audio, "ogg", encoding.bitrate, encoding.complexity)
    form = pcm_form(recording, query, audio)
    return audio_tag(recording, audio, query.format, form.sample_rate, form.channels)


def _any_sealed(recording: Recording, audio: AudioPlan) -> bool:
    """Whether anything in the answer comes out of a sealed object, ours or older."""
    sealed = {stored.info.name for stored in recording.objects if stored.name.sealed}
    plays = (play for part in audio.parts for play in part.passage.plays)
    return any(not isinstance(play.piece.source, Live) and play.piece.source.name in sealed for play in plays)
