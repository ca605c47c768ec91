"""Which keys the objects of a bucket are sealed with: one look at the first bytes of every sealed object.

Owns the walk and the counting. Reads headers only: it needs no key, decrypts nothing and changes nothing.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from audiostore.legacy.names import AudioName
    from audiostore.store import Store

AT_ONCE: Final = 32
"""Objects looked at at the same time: a look is a round trip to the bucket and little else."""
MOST_NAMED: Final = 100
"""Damaged objects that are named; all are counted."""


@dataclass(slots=True)
class Usage:
    """Objects that need one key."""

    objects: int = 0
    oldest: str = ""
    """Name of the object that begins first; empty without objects."""
    newest: str = ""
    """Name of the object that begins last; empty without objects."""
    _oldest_ms: int = 0
    _newest_ms: int = 0

    def add(self, name: "AudioName") -> None:
        """One more object."""
        if not self.objects or name.start_ms < self._oldest_ms:
            self.oldest, self._oldest_ms = name.path, name.start_ms
        if not self.objects or name.start_ms >= self._newest_ms:
            self.newest, self._newest_ms = name.path, name.start_ms
        self.objects += 1


@dataclass(slots=True)
class KeyUsage:
    """What was found."""

    keys: dict[str, Usage] = field(default_factory=dict)
    """By key id."""
    older: Usage = field(default_factory=Usage)
    """Sealed by the scheme of the older formats, which has one secret and no ids."""
    damaged: int = 0
    """Objects whose header names no key."""
    damaged_names: list[str] = field(default_factory=list)
    """The first of them."""
    sealed: int = 0
    """Sealed objects in all."""


async def look(store: "Store", seen: Callable[[int], None]) -> KeyUsage:
    """Looks at everything below `chunks/`. `seen` is told now and then how many sealed objects there were so far.

    Raises:
        StoreError: the bucket could not be read to its end.
    """
    from audiostore.legacy.names import parse_audio_name  # noqa: PLC0415 - see the package
    from audiostore.names import ROOT  # noqa: PLC0415 - see the package

    usage = KeyUsage()
    waiting: list[AudioName] = []
    async for info in store.list(ROOT):
        name = parse_audio_name(info.name)
        if name is not None and name.sealed:
            waiting.append(name)
        if len(waiting) == AT_ONCE:
            await _look_at(store, waiting, usage)
            waiting = []
            seen(usage.sealed)
    await _look_at(store, waiting, usage)
    seen(usage.sealed)
    return usage


async def _look_at(store: "Store", names: "list[AudioName]", usage: KeyUsage) -> None:
    from audiostore.errors import TamperedError  # noqa: PLC0415 - see the package
    from audiostore.legacy.names import is_ours  # noqa: PLC0415 - see the package
    from audiostore.sealing import sealed_key_id  # noqa: PLC0415 - see the package

    headers = await asyncio.gather(*(_header(store, name) for name in names))
    for name, header in zip(names, headers, strict=True):
        if header is None:
            continue
        usage.sealed += 1
        if not is_ours(name, header):
            usage.older.add(name)
            continue
        try:
            key_id = sealed_key_id(header)
        except TamperedError:
            usage.damaged += 1
            if usage.damaged <= MOST_NAMED:
                usage.damaged_names.append(name.path)
        else:
            usage.keys.setdefault(key_id, Usage()).add(name)


async def _header(store: "Store", name: "AudioName") -> bytes | None:
    """The first bytes, where the name does not say it all; None for an object that was deleted meanwhile."""
    from audiostore.errors import NotFoundError  # noqa: PLC0415 - see the package
    from audiostore.sealing import HEADER_BYTES  # noqa: PLC0415 - see the package

    if not name.is_batch:
        return b""
    try:
        return await store.get_range(name.path, 0, HEADER_BYTES)
    except NotFoundError:
        return None
