"""When the objects began that were deleted with their audio: times by which they may be asked for again. Pure."""

from collections.abc import Mapping

from audiobus.deletions import Noted
from audiostore.legacy import parse_audio_name


def deleted_starts(names: Mapping[str, Noted]) -> frozenset[int]:
    """Unix ms. `names`: what must not be in the bucket, and why."""
    gone = (path for path, why in names.items() if not (why.given_up or why.withdrawn))
    return frozenset(name.start_ms for path in gone if (name := parse_audio_name(path)) is not None)
