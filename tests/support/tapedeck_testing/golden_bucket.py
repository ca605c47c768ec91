"""The golden bucket of the six older formats, and the speech that its objects were made of.

Owns finding and reading the samples; what each object must give stands in their manifest.
"""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SAMPLES = Path(__file__).parents[3] / "libs" / "audiostore" / "tests" / "legacy" / "samples"
RATE = 16_000


@dataclass(frozen=True)
class GoldenObject:
    """One object, and its line of the manifest."""

    name: str
    data: bytes
    line: Mapping[str, Any]

    @property
    def held(self) -> bytes | None:
        """The stretch of the source that it holds, s16le; None where it cannot be read."""
        if "source" not in self.line:
            return None
        first, last = self.line["source"]
        return source_pcm()[round(first * RATE) * 2 : round(last * RATE) * 2]


@functools.cache
def manifest() -> dict[str, Any]:
    """All of it: `uid`, `secret`, `objects`."""
    found: dict[str, Any] = json.loads((SAMPLES / "manifest.json").read_text())
    return found


@functools.cache
def golden_objects() -> tuple[GoldenObject, ...]:
    """Every object, as the manifest names them."""
    return tuple(
        GoldenObject(line["name"], (SAMPLES / line["name"]).read_bytes(), line)
        for line in manifest()["objects"]
    )


@functools.cache
def source_pcm() -> bytes:
    """The 30 s of speech, s16le mono at 16 kHz."""
    import av  # noqa: PLC0415 - a quarter of a second that most runs do not need

    with av.open(str(SAMPLES / "source.flac")) as file:
        return b"".join(frame.to_ndarray().tobytes() for frame in file.decode(audio=0))
