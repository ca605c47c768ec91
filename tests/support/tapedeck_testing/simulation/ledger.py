"""The ledger of a world: each chunk that went into Redis, which bytes of its session it held, and when it was made.

Owns what no conversation's owner can say: which chunks were damaged on the way in, and so may be given up by an operator. It changes what is appended,
and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from audiobus.chunk import HEAD_BYTES, made_ms
from audiobus.entry_id import EntryId
from audiobus.script import script
from tapedeck_testing.simulation.redis_values import Stream

if TYPE_CHECKING:
    from tapedeck_testing.simulation.chance import Chance
    from tapedeck_testing.simulation.redis_model import RedisModel

DAMAGED: Final = "chunk: damaged"
CONV: Final = "td:conv:{"
_KEY, _AUDIO, _BEFORE, _ID, _CHUNK = 3, 4, 7, 8, 9
"""Where they stand in the words of an append."""


@dataclass(frozen=True, slots=True)
class Held:
    """What one chunk held: bytes of its session, from the first to that of its id."""

    id: EntryId
    first_offset: int
    made_ms: int | None
    """Unix ms, by the clock of its listener; None where it does not say."""
    damaged: bool = False
    appended_s: float = 0.0
    """When Redis took it, by the loop's clock."""


class Ledger:
    """Of all conversations, by their tags."""

    def __init__(self, model: RedisModel, chance: Chance) -> None:
        self._model = model
        self._chance = chance
        self._appends = {script("append").digest, script("append").source}
        self._damages = chance.has(DAMAGED)
        self._spoilt: set[bytes] = set()
        self.chunks: dict[str, list[Held]] = {}
        """Some twice: written again after Redis had lost them."""

    def appends(self, args: Any) -> bool:
        """Whether a command is an append."""
        return len(args) > _CHUNK and args[1] in self._appends

    def spoil(self, args: Any) -> Any:
        """An append as it is executed: perhaps of a chunk that nobody can read."""
        if not self._damages or not self._chance.strikes(DAMAGED):
            return args
        chunk = self._chance.dice.choice((_cut_off, _of_another_version, _empty, _not_msgpack))(args[_CHUNK])
        self._spoilt.add(chunk)
        return (*args[:_CHUNK], chunk, *args[_CHUNK + 1 :])

    def note(self, args: Any) -> None:
        """An append was executed: whether it went in, the buffer says."""
        stream = self._model.keys.data.get(args[_AUDIO].encode())
        if not isinstance(stream, Stream) or not stream.rows:
            return
        name, fields = stream.rows[-1]
        if name.decode() != args[_ID] or fields[1] != args[_CHUNK]:
            return
        before, own = EntryId.parse(args[_BEFORE]), EntryId.parse(args[_ID])
        chunk: bytes = args[_CHUNK]
        held = Held(
            own, before.offset, made_ms(chunk[:HEAD_BYTES]), chunk in self._spoilt, self._chance.now()
        )
        self.chunks.setdefault(args[_KEY][len(CONV) : -1], []).append(held)

    def of(self, tag: str) -> list[Held]:
        """The chunks of a conversation."""
        return self.chunks.get(tag, [])


def _cut_off(chunk: bytes) -> bytes:
    return chunk[: len(chunk) // 2]


def _of_another_version(chunk: bytes) -> bytes:
    return chunk[:1] + b"\x63" + chunk[2:]


def _empty(_chunk: bytes) -> bytes:
    return b""


def _not_msgpack(chunk: bytes) -> bytes:
    return b"\xc1" * len(chunk)
