"""Which form of audio a request wants: `format`, else `Accept`, else ogg. Pure."""

from typing import Final, Literal, cast

from servicekit.problem import ProblemError
from storage_api.parameters import Parameters

Format = Literal["ogg", "wav", "pcm"]

MEDIA_TYPES: Final[dict[Format, str]] = {
    "ogg": "audio/ogg; codecs=opus",
    "wav": "audio/wav",
    "pcm": "application/octet-stream",
}
_ACCEPTED: Final[dict[str, Format]] = {
    "*/*": "ogg",
    "audio/*": "ogg",
    "audio/ogg": "ogg",
    "audio/opus": "ogg",
    "application/ogg": "ogg",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/vnd.wave": "wav",
    "audio/pcm": "pcm",
    "application/octet-stream": "pcm",
}


def wanted_format(parameters: Parameters, accept: str | None) -> Format:
    """The form. ProblemError: 400 for another `format`, 406 where `Accept` takes none of ours."""
    given = parameters.choice("format", tuple(MEDIA_TYPES))
    if given is not None:
        return cast("Format", given)
    ranked = sorted(_media_types(accept or "*/*"), key=lambda media: -media[1])
    for media_type, weight in ranked:
        if weight > 0 and media_type in _ACCEPTED:
            return _ACCEPTED[media_type]
    raise ProblemError(
        406, "not_acceptable", "audio comes as audio/ogg, audio/wav or application/octet-stream (pcm)"
    )


def _media_types(accept: str) -> list[tuple[str, float]]:
    """Media types with their weights (RFC 9110 §12.5.1); a weight that is none counts as 0."""
    found = []
    for item in accept.split(","):
        media_type, *parameters = (part.strip().lower() for part in item.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    weight = float(parameter[2:])
                except ValueError:
                    weight = 0.0
        found.append((media_type, weight))
    return found
