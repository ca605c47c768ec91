"""What a time meant by which something of a conversation was to be deleted.

Owns the notes: each is written before anything goes, so that whoever asks again by that time, after a lost answer or a crash, means the same audio and no
other, wherever that lies by then. Each leaves 30 days after it was written last.
"""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import msgspec

from audiobus.bus import Bus
from audiobus.connection import translated
from audiobus.conversation import Conversation
from audiobus.deletions import KEPT_MS, TIME, Noted, names_in, pairs
from audiobus.errors import BadEntryError
from audiobus.pipeline import execute
from audiobus.replacing import Replacing
from audiobus.routed import Routed
from audiobus.script import Argument, script

VERSION: Final = 1
MOST: Final = 10_000
"""Times of one conversation that are noted; of more the oldest leave."""
AT_ONCE: Final = 500
"""Notes in one step: Redis does nothing else meanwhile, about 2 ms."""


class Audio(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, order=True):
    """Samples of a run, at 48 kHz, counted from the run's first."""

    conversation: str
    """Into which it was recorded."""
    epoch: int
    run_start_ms: int
    """Unix ms."""
    first_sample: int
    end_sample: int


class Meant(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a time meant."""

    version: int
    at_ms: int
    """When it was noted last, unix ms."""
    names: tuple[str, ...]
    """Objects, each as a whole."""
    entries: tuple[str, ...]
    """Ids of entries of the buffer, or of dead letters."""
    audio: tuple[Audio, ...]
    """What is in them, as far as it is told: it may come to lie under other names."""

    def encode(self) -> bytes:
        """As it stands in Redis."""
        return _ENCODER.encode(self)


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Meant)


def decode_meant(data: bytes) -> Meant:
    """A note.

    Raises:
        BadEntryError: none, or of a version that this build does not know.
    """
    try:
        meant = _DECODER.decode(data)
    except (msgspec.DecodeError, ValueError) as error:
        raise BadEntryError(f"what a time of a deletion meant: {error}") from error
    if meant.version != VERSION:
        raise BadEntryError(
            f"what a time of a deletion meant: version {meant.version} is unknown to this build"
        )
    return meant


@dataclass(frozen=True, slots=True)
class Notes:
    """What is noted of the deletions of a conversation."""

    names: Mapping[str, Noted] = field(default_factory=dict)
    """`deletions.noted`."""
    times_ms: Collection[int] = ()
    """By which something was deleted, unix ms, and what is not known: older builds noted no more."""
    meant: Mapping[int, bytes] = field(default_factory=dict)
    """By time, unix ms, the notes of what it meant, each to be decoded."""

    def of_others(self, entries: Iterable[str], more: Iterable[int] = ()) -> dict[str, frozenset[int]]:
        """For each entry, by its id, the times that are noted, and these, without those that meant it, unix ms."""
        whose: dict[str, set[int]] = {}
        for at_ms, note in self.meant.items():
            with suppress(BadEntryError):  # nobody knows what that meant: nothing of these
                for entry in decode_meant(note).entries:
                    whose.setdefault(entry, set()).add(at_ms)
        every = frozenset((*self.times_ms, *self.meant, *more))
        return {one: every - whose[one] if one in whose else every for one in entries}

    def leaving(self, now_ms: int, new: Collection[int]) -> list[int]:
        """Times of which the notes are to be taken away where these are noted: those that are old, and the oldest where there are too many."""
        coming = frozenset(_latest(new))
        ages = sorted((_at_ms(note), at_ms) for at_ms, note in self.meant.items() if at_ms not in coming)
        over = max(0, len(ages) + len(coming) - MOST)
        return [
            at_ms
            for number, (noted_ms, at_ms) in enumerate(ages)
            if number < over or noted_ms <= now_ms - KEPT_MS
        ]


def _at_ms(note: bytes) -> int:
    try:
        return decode_meant(note).at_ms
    except BadEntryError:
        return 0  # nobody can read it


async def notes(bus: Bus, conversation: Conversation) -> Notes:
    """All of it, in one go.

    Raises:
        BadEntryError: something there is no note.
        BusUnavailableError: Redis does not answer.
    """
    keys = [bus.keys.gone(conversation), bus.keys.meant(conversation)]
    with translated("HGETALL"):
        gone, meant = await execute(bus.client, [Routed(key, ("HGETALL", key)) for key in keys])
        for rows in (gone, meant):
            if isinstance(rows, Exception):
                raise rows
    times = [name.removeprefix(TIME) for name, _ in pairs(gone) if name.startswith(TIME)]
    try:
        return Notes(names_in(gone), frozenset(map(int, times)), {int(at): note for at, note in pairs(meant)})
    except ValueError as error:
        raise BadEntryError(f"times of what was deleted: {error}") from error


async def note(
    replacing: Replacing, meant: Mapping[int, Meant], leaving: Collection[int] = (), *, keep: bool = False
) -> bool:
    """Notes what times meant, before any of it goes; False where somebody else may replace objects by now: nothing is noted then.

    Args:
        replacing: whoever is about to delete.
        meant: by time, unix ms; of more than `MOST` the latest are noted.
        leaving: other times, that are noted no more (`Notes.leaving`).
        keep: what is noted of a time already stays.

    Raises:
        NotReplicatedError: it is noted, and a failover could lose that: delete nothing.
        BusUnavailableError: not known whether it is noted.
    """
    steps: list[tuple[list[int], list[int]]] = [([], some) for some in _in_steps(list(leaving))]
    steps += [(some, []) for some in _in_steps(_latest(meant))]
    for some, over in steps:
        if not await _note(replacing, {at_ms: meant[at_ms] for at_ms in some}, over, keep=keep):
            return False
    return True


def _latest(times: Iterable[int]) -> list[int]:
    """As many of these as are noted at the most."""
    return sorted(times)[-MOST:]


def _in_steps(times: list[int]) -> list[list[int]]:
    return [times[at : at + AT_ONCE] for at in range(0, len(times), AT_ONCE)]


async def _note(
    replacing: Replacing, meant: Mapping[int, Meant], leaving: Collection[int], *, keep: bool
) -> bool:
    bus = replacing.bus
    args: list[Argument] = [replacing.holder, KEPT_MS, "1" if keep else "0", len(leaving), *leaving]
    for at_ms, what in meant.items():
        args += [at_ms, what.encode()]
    keys = [bus.keys.meant(replacing.conversation), replacing.lease]
    return bool(await script("note_meant").run(bus.client, keys, args, wait_replicas=bus.wait_replicas))
