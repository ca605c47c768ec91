"""Which form of audio a request wants: `format`, else `Accept`, else ogg. Pure."""

import re
from typing import Final, Literal, cast

from servicekit.problem import ProblemError
from storage_api.parameters import Parameters

Format = Literal["ogg", "wav", "pcm"]

_WEIGHT: Final = re.compile(r"(0?\.\d+|0\.?|1(\.0*)?)\Z", re.ASCII)

MEDIA_TYPES: Final[dict[Format, str]] = {
    "ogg": "audio/ogg; codecs=opus",
    "wav": "audio/wav",
    "pcm": "application/octet-stream",
}
_NAMES: Final[dict[Format, tuple[str, ...]]] = {
    "ogg": ("audio/ogg", "audio/opus", "application/ogg"),
    "wav": ("audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"),
    "pcm": ("application/octet-stream", "audio/pcm"),
}
"""What clients call each, the one that it is sent as first."""


def wanted_format(parameters: Parameters, accept: str | None) -> Format:
    """The form. ProblemError: 400 for another `format`, 406 where `Accept` takes none of ours."""
    given = parameters.choice("format", tuple(MEDIA_TYPES))
    if given is not None:
        return cast("Format", given)
    weights = _weights(accept or "*/*")
    # The heaviest; of equals the one that is named first, and of those that `*/*` names alike ogg before the others.
    ranked = sorted((-weight, place, index) for index, (weight, place) in enumerate(_judged(weights)))
    weight, _, index = ranked[0]
    if weight == 0:
        raise ProblemError(
            406, "not_acceptable", "audio comes as audio/ogg, audio/wav or application/octet-stream (pcm)"
        )
    return tuple(_NAMES)[index]


def _judged(weights: dict[str, tuple[float, int]]) -> list[tuple[float, int]]:
    """Weight and place of each format: of its own names where they stand there, else of the nearest range of media types."""
    found = []
    for names in _NAMES.values():
        own = [weights[name] for name in names if name in weights]
        ranges = [weights[name] for name in (names[0].partition("/")[0] + "/*", "*/*") if name in weights]
        found.append(
            min(own, key=lambda one: (-one[0], one[1])) if own else ranges[0] if ranges else (0.0, 0)
        )
    return found


def _weights(accept: str) -> dict[str, tuple[float, int]]:
    """Media types and ranges with weight and place (RFC 9110 §12.5.1), the first of each; a weight that is none counts as 0."""
    found: dict[str, tuple[float, int]] = {}
    for place, item in enumerate(accept.split(",")):
        media_type, *parameters = (part.strip().lower() for part in item.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                weight = float(parameter[2:]) if _WEIGHT.match(parameter[2:]) else 0.0
        found.setdefault(media_type, (weight, place))
    return found
