"""What the rows of `…/audio` tell: its parameters, the headers of its answers, and what it may refuse."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from msgspec import Meta

from storage_api.audio_format import MEDIA_TYPES, Format
from storage_api.query_parameters import END, START, TIMESTAMPS
from storage_api.row import Header, Media, Parameter
from storage_api.services import LIVE_HEADER, MISSING_HEADER, START_HEADER

READING: Final = ("live_unavailable", "store_unavailable")
"""Codes of whatever reads a conversation."""
MEDIA: Final = Media(tuple(MEDIA_TYPES.values()))
PARAMETERS: Final = (
    Parameter(
        "format",
        Format,
        "`ogg` copies packets, `wav` and `pcm` decode; where it is not given, `Accept` decides",
    ),
    START,
    END,
    TIMESTAMPS,
    Parameter(
        "fill_gaps", bool, "`false` leaves gaps out; else they are silence, and position is clock time"
    ),
    Parameter("sample_rate", Literal[8000, 12000, 16000, 24000, 48000], "Hz; for `wav` and `pcm`"),
    Parameter("channels", Annotated[int, Meta(ge=1, le=2)], "For `wav` and `pcm`"),
    Parameter("strict", bool, "`true`: anything missing is 502 before the first byte"),
)
RANGE: Final = Parameter(
    "Range",
    str,
    "One range of bytes: `bytes=0-1023`; anything else is ignored, and all of it where `Accept-Ranges` is `none`",
    place="header",
)
IF_RANGE: Final = Parameter(
    "If-Range", str, "`Range` only where the `ETag` is still this one", place="header"
)
CONDITIONS: Final = (
    Parameter("If-Match", str, "412 where the `ETag` is none of these", place="header"),
    Parameter("If-None-Match", str, "304 where the `ETag` is one of these", place="header"),
)
HEADERS: Final = {
    "ETag": "Strong: of these very bytes, for `If-None-Match` and `If-Range`",
    "Content-Disposition": "A file name",
    START_HEADER: "When its first sample was recorded; rounded down to the millisecond",
    MISSING_HEADER: "How many chunks of it could not be read, dead letters among them",
    LIVE_HEADER: "`unavailable` where what waits to be stored could not be read",
    "Accept-Ranges": "`bytes` where `Range` works, else `none`",
    "Tapedeck-Sample-Rate": "Of `wav` and `pcm`, in Hz",
    "Tapedeck-Channels": "Of `wav` and `pcm`",
    "Cache-Control": "`private, no-cache`; `private, no-store` where some of it is sealed, or the user's audio is to be",
    "Vary": "`Accept, Authorization`",
    "X-Content-Type-Options": "`nosniff`",
    "Content-Length": "Bytes of the body that GET has; not where the length is known only once it is made",
    "Content-Range": "`bytes 0-1023/4096`: the first byte, the last one, and how many the whole has; `bytes */4096` of 416",
}


def _headers(*names: str, maybe: tuple[str, ...] = ()) -> dict[str, Header]:
    """Each answer has `names`, and some have `maybe`."""
    return {name: Header(HEADERS[name], always=name in names) for name in (*names, *maybe)}


LIVE: Final = _headers(maybe=(LIVE_HEADER,))
NO_AUDIO: Final = _headers(maybe=(MISSING_HEADER,))
_KNOWN: Final = {
    **_headers("ETag", "Cache-Control", "Vary", "X-Content-Type-Options", MISSING_HEADER),
    **LIVE,
}
_OF_FORM: Final = ("Tapedeck-Sample-Rate", "Tapedeck-Channels")
HEAD_HEADERS: Final[Mapping[int, Mapping[str, Header]]] = {
    200: {
        **_KNOWN,
        **_headers("Content-Disposition", START_HEADER, "Accept-Ranges", maybe=("Content-Length", *_OF_FORM)),
    },
    304: _KNOWN,
    404: NO_AUDIO,
}
GET_HEADERS: Final[Mapping[int, Mapping[str, Header]]] = {
    **HEAD_HEADERS,
    206: {**HEAD_HEADERS[200], **_headers("Content-Range", "Content-Length")},
    416: _headers("Content-Range"),
}
HEAD_CODES: Final = (
    *READING,
    "busy",
    "incomplete",
    "no_audio",
    "not_acceptable",
    "precondition_failed",
    "too_long",
)
GET_CODES: Final = (*HEAD_CODES, "range_not_satisfiable")
