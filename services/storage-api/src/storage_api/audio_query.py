"""What the query of `…/audio` asks for, checked. Fetches nothing."""

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

from storage_api.audio_format import Format, wanted_format
from storage_api.parameters import Parameters, bad_parameter
from storage_api.validators import listed

PARAMETERS: Final = ("format", "start", "end", "timestamps", "fill_gaps", "sample_rate", "channels", "strict")


@dataclass(frozen=True, slots=True)
class AudioQuery:
    """One query; None where something is not chosen."""

    format: Format
    start_48k: int | None
    end_48k: int | None
    timestamps_ms: tuple[int, ...]
    fill_gaps: bool
    sample_rate: int | None
    channels: int | None
    strict: bool

    @property
    def decoded(self) -> bool:
        """Whether PCM is answered: a decoder runs over the packets, for which those before a cut count."""
        return self.format != "ogg"

    @classmethod
    def of(cls, request: Request) -> "AudioQuery":
        """ProblemError 400, 406."""
        parameters = Parameters(request.query_params, PARAMETERS)
        kind = wanted_format(parameters, listed(request.headers.getlist("accept")))
        start, end = parameters.window()
        query = cls(
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
            if kind == "ogg" and getattr(query, name) is not None:
                raise bad_parameter(
                    name, "cannot be chosen for ogg, which copies packets as they are; ask for wav or pcm"
                )
        return query
