"""When the objects began that were deleted with their audio: times by which they may be asked for again. Pure."""

from collections.abc import Collection, Mapping

from audiobus.deletions import Noted
from audiostore.legacy import parse_audio_name


def deleted_starts(names: Mapping[str, Noted], near: Collection[int] | None = None) -> frozenset[int]:
    """Unix ms. `names`: what must not be in the bucket, and why; `near`: only those that began in one of these seconds."""
    gone = (path for path, why in names.items() if not (why.given_up or why.withdrawn))
    if near is not None:
        # Of ten thousand names most need not be read.
        seconds = {str(second) for second in near}
        gone = (path for path in gone if path.rpartition("/")[2].partition(".")[0] in seconds)
    return frozenset(name.start_ms for path in gone if (name := parse_audio_name(path)) is not None)
