"""Which objects a conversation has, by their names: all of them, or as many as a page needs.

Owns where a listing begins and ends. Judges nothing.
"""

from dataclasses import dataclass, field

from audiostore.legacy import AudioName, parse_audio_name
from audiostore.names import timestamp
from audiostore.store import ObjectInfo, Store


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a conversation whose names sort as their times do. Unix ms."""

    from_ms: int
    """Objects that begin then or later are listed."""
    counted_from_ms: int
    """Those that begin then or later count."""
    count: int
    """So many of those are enough."""


@dataclass(slots=True)
class Listing:
    """What was found, in name order."""

    listed: list[tuple[AudioName, ObjectInfo]] = field(default_factory=list)
    before_ms: int | None = None
    """All of the stretch that begin before this time are there; None where all are."""


async def list_stretch(store: Store, prefix: str, stretch: Stretch | None) -> Listing:
    """The objects of a conversation whose names begin with `prefix`; all of them where no stretch is given. StoreError."""
    found, counted = Listing(), 0
    after = "" if stretch is None else f"{prefix}{timestamp(stretch.from_ms)}"
    async for info in store.list(prefix, after):
        name = parse_audio_name(info.name)
        if name is None:
            continue
        if stretch is not None and name.start_ms >= stretch.counted_from_ms:
            if counted == stretch.count:
                found.before_ms = name.start_ms
                break
            counted += 1
        found.listed.append((name, info))
    return found
