"""What a time meant by which something of a conversation was to be deleted.

Owns the notes: each is written before anything goes, so that whoever asks again by that time, after a lost answer or a crash, means the same audio and no
other, wherever that lies by then. Each leaves 30 days after it was written last.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
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
from audiobus.routed import Answer, Routed
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


@dataclass(frozen=True, slots=True)
class Times:
    """By what something of a conversation was deleted, without what it meant."""

    names: Mapping[str, Noted]
    """`deletions.noted`."""
    meant_ms: frozenset[int]
    """Times of which it is noted what they meant, unix ms."""
    others_ms: frozenset[int]
    """Times of which older builds noted no more, unix ms."""


async def notes(bus: Bus, conversation: Conversation) -> Notes:
    """All of it, in one go.

    Raises:
        BadEntryError: something there is no note.
        BusUnavailableError: Redis does not answer.
    """
    gone, meant = await _both(bus, conversation, "HGETALL")
    with _told():
        return Notes(names_in(gone), _others_ms(gone), {int(at): note for at, note in pairs(meant)})


async def times(bus: Bus, conversation: Conversation) -> Times:
    """The same without what the times meant, which is far more. Else as `notes`."""
    gone, meant = await _both(bus, conversation, "HKEYS")
    with _told():
        return Times(names_in(gone), frozenset(map(int, meant)), _others_ms(gone))


async def meant_at(bus: Bus, conversation: Conversation, at_ms: Collection[int]) -> dict[int, Meant]:
    """What these times meant, as far as it is noted and can be read. BusUnavailableError."""
    found: dict[int, Meant] = {}
    for some in _in_steps(list(at_ms)):
        told = await bus.command("HMGET", bus.keys.meant(conversation), *some)
        for at, data in zip(some, told, strict=True):
            with suppress(BadEntryError):  # nobody knows what that meant
                if data is not None:
                    found[at] = decode_meant(data)
    return found


async def _both(bus: Bus, conversation: Conversation, how: str) -> tuple[Answer, Answer]:
    """The names of what was deleted, as `HGETALL` tells them, and what is noted of times, as `how` does."""
    keys = [bus.keys.gone(conversation), bus.keys.meant(conversation)]
    with translated(how):
        asked = zip(keys, ("HGETALL", how), strict=True)
        gone, meant = await execute(bus.client, [Routed(key, (command, key)) for key, command in asked])
        for rows in (gone, meant):
            if isinstance(rows, Exception):
                raise rows
    return gone, meant


def _others_ms(gone: Answer) -> frozenset[int]:
    return frozenset(int(name.removeprefix(TIME)) for name, _ in pairs(gone) if name.startswith(TIME))


@contextmanager
def _told() -> Iterator[None]:
    """BadEntryError for a time that is none."""
    try:
        yield
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
