"""Objects that were read whole and found to be well, for a while: who asks for `strict` asks again for each piece of the answer.

Owns the memory of it, and what tells such an object from any other. Fetches nothing. An object that goes bad after it was checked breaks an
answer off, as without `strict`.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from storage_api.passage import Passage
from storage_api.recording import Recording
from storage_api.timeline import Live

CHECKED_FOR_S: Final = 900.0
"""That an object counts as checked."""
MAX_CHECKED: Final = 50_000
"""Objects that are remembered: a month of batches, some 20 MB."""

Identity: TypeAlias = tuple[object, ...]


class CheckedObjects:
    """Those of one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: OrderedDict[Identity, float] = OrderedDict()
        """By when they were checked."""

    def hold(self, recording: Recording, passage: Passage, keys_version: int) -> bool:
        """Whether all objects of the passage were checked. What of it is live was read with the recording."""
        now = self._clock()
        return all(self._until.get(one, now) > now for one in _identities(recording, passage, keys_version))

    def add(self, recording: Recording, passage: Passage, keys_version: int) -> None:
        """All objects of the passage are well."""
        until = self._clock() + CHECKED_FOR_S
        for one in _identities(recording, passage, keys_version):
            self._until[one] = until
            self._until.move_to_end(one)
        while len(self._until) > MAX_CHECKED:
            self._until.popitem(last=False)


def _identities(recording: Recording, passage: Passage, keys_version: int) -> Iterator[Identity]:
    for play in (passage.before, *passage.plays, passage.after):
        if play is None or isinstance(play.piece.source, Live):
            continue
        stored = recording.by_key[play.piece.source.key]
        info = stored.info.beside if stored.second and stored.info.beside else stored.info
        yield info.name, stored.second, info.size, info.crc32c, keys_version
