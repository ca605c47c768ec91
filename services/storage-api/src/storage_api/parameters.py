"""Query parameters, checked at the door. Pure: texts in, values out, or a 400 that says what was wrong.

Unknown parameters are ignored, as everywhere in Tapedeck, but where something is deleted: one that is misspelt must not widen what goes.
"""

import re
from collections.abc import Callable, Collection
from typing import Final, TypeVar

from starlette.datastructures import QueryParams

from audiocodec.pcm import SAMPLE_RATES
from audiocodec.peaks import BLOCK_FRAMES
from servicekit.ids import valid_id
from servicekit.problem import ProblemError
from storage_api.moments import parse_day, parse_moment

T = TypeVar("T")

MAX_PAGE_SIZE: Final = 1000
DEFAULT_PAGE_SIZE: Final = 100
MAX_TIMESTAMPS: Final = 1000
MAX_SAMPLES_PER_PIXEL: Final = 1 << 20
MAX_VALUE_LENGTH: Final = 32 * 1024
DEFAULT_MAX_GAP_S: Final = 90
MAX_GAP_S: Final = 31 * 24 * 3_600
_SHOWN: Final = 64
"""Characters of a parameter's name that an error repeats where it is not known."""
_GAP: Final = re.compile(r"[0-9]{1,7}(\.[0-9]{1,3})?", re.ASCII)
_GAP_SAID: Final = f"must be seconds, 0 to {MAX_GAP_S}, with up to three decimals"


def bad_parameter(name: str, why: str) -> ProblemError:
    """400 `bad_parameter`: `why` goes on after the parameter's name."""
    return ProblemError(400, "bad_parameter", f"{name} {why}", extra={"parameter": name})


def path_id(kind: str, text: str) -> str:
    """A uid or conversation id out of the path. ProblemError 400 `bad_id`."""
    if not valid_id(text):
        raise ProblemError(
            400,
            "bad_id",
            f"{kind} is no valid id: 1 to 128 of A-Z a-z 0-9 . _ @ -, beginning with a letter or digit",
        )
    return text


class Parameters:
    """The query of one request."""

    def __init__(self, query: QueryParams, known: Collection[str]) -> None:
        """ProblemError 400: one of those `known` here is there twice, or is too long."""
        for name in known:
            values = query.getlist(name)
            if len(values) > 1:
                raise bad_parameter(name, "is there more than once")
            if values and len(values[0]) > MAX_VALUE_LENGTH:
                raise bad_parameter(name, f"is longer than {MAX_VALUE_LENGTH} characters")
        self._query = query

    @classmethod
    def and_no_others(cls, query: QueryParams, known: Collection[str] = ()) -> "Parameters":
        """The query of a request that deletes. ProblemError 400: there are others than those `known` here."""
        for name in query:
            if name not in known:
                said = f"takes {', '.join(known)} and nothing else" if known else "takes no parameters"
                raise bad_parameter(
                    name[:_SHOWN] or "''", f"is not known here: this {said}, and nothing is deleted"
                )
        return cls(query, known)

    def text(self, name: str) -> str | None:
        """As it came; None where it is not there, or empty."""
        return self._query.get(name) or None

    def flag(self, name: str) -> bool | None:
        """`true` or `false`."""
        return self._parsed(name, _flag)

    def choice(self, name: str, choices: Collection[str]) -> str | None:
        """One of these words."""

        def parse(text: str) -> str:
            if text not in choices:
                raise ValueError(f"must be one of {', '.join(choices)}")
            return text

        return self._parsed(name, parse)

    def page_size(self) -> int:
        """`page_size`, 1 to 1,000; 100 where it is not given. Empty it is none."""
        if self._query.get("page_size") == "":
            raise bad_parameter("page_size", f"must be 1 to {MAX_PAGE_SIZE}")
        return (
            self._parsed("page_size", _number(range(1, MAX_PAGE_SIZE + 1), f"1 to {MAX_PAGE_SIZE}"))
            or DEFAULT_PAGE_SIZE
        )

    def moment(self, name: str) -> int | None:
        """A time, in samples at 48 kHz since 1970. Empty it is none."""
        if self._query.get(name) == "":
            raise bad_parameter(name, "is empty: give a time, or leave it out")
        return self._parsed(name, parse_moment)

    def day(self, name: str) -> int | None:
        """A UTC day, `YYYY-MM-DD`, counted since 1970. Empty it is none."""
        if self._query.get(name) == "":
            raise bad_parameter(name, "must be a day as 2026-11-21")
        return self._parsed(name, parse_day)

    def window(self) -> tuple[int | None, int | None]:
        """`start` and `end`. ProblemError 400 where the end is not after the start."""
        start, end = self.moment("start"), self.moment("end")
        if start is not None and end is not None and end <= start:
            raise bad_parameter("end", "must be after start, by a sample at 48 kHz at least")
        return start, end

    def timestamps(self) -> tuple[int, ...]:
        """`timestamps=a,b`, in unix ms; empty where it is not given. Not together with `start` or `end`."""
        text = self._query.get("timestamps")
        if text is None:
            return ()
        if not text:
            raise bad_parameter("timestamps", "is empty: give times, or leave it out")
        if self.text("start") or self.text("end"):
            raise bad_parameter("timestamps", "cannot be given together with start or end")
        texts = text.split(",")
        if len(texts) > MAX_TIMESTAMPS:
            raise bad_parameter("timestamps", f"are {len(texts)}; {MAX_TIMESTAMPS} are possible")
        try:
            return tuple(parse_moment(one.strip()) // 48 for one in texts)
        except ValueError as error:
            raise bad_parameter("timestamps", f"{error}, separated by commas") from error

    def samples_per_pixel(self) -> int | None:
        """Whole blocks of a waveform."""
        allowed = range(BLOCK_FRAMES, MAX_SAMPLES_PER_PIXEL + 1, BLOCK_FRAMES)
        said = f"a multiple of {BLOCK_FRAMES}, {MAX_SAMPLES_PER_PIXEL} at the most"
        return self._parsed("samples_per_pixel", _number(allowed, said))

    def max_gap_s(self) -> float | None:
        """Seconds, with up to three decimals. Empty it is none."""
        if self._query.get("max_gap_s") == "":
            raise bad_parameter("max_gap_s", _GAP_SAID)
        return self._parsed("max_gap_s", _gap)

    def sample_rate(self) -> int | None:
        """Hz, one of Opus' five."""
        return self._parsed("sample_rate", _number(SAMPLE_RATES, ", ".join(map(str, SAMPLE_RATES))))

    def channels(self) -> int | None:
        """1 or 2."""
        return self._parsed("channels", _number((1, 2), "1 or 2"))

    def _parsed(self, name: str, parse: Callable[[str], T]) -> T | None:
        text = self.text(name)
        if text is None:
            return None
        try:
            return parse(text)
        except ValueError as error:
            raise bad_parameter(name, str(error)) from error


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("must be true or false")
    return text == "true"


def _gap(text: str) -> float:
    if not _GAP.fullmatch(text) or float(text) > MAX_GAP_S:
        raise ValueError(_GAP_SAID)
    return float(text)


def _number(allowed: Collection[int], said: str) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 9 and int(text) in allowed):
            raise ValueError(f"must be {said}")
        return int(text)

    return parse
