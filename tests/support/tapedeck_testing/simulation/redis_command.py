"""The table of the Redis model's commands, and how they read numbers.

A command is a function of the keyspace and its words (the name is the first); it returns a reply or raises `Refused`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

from tapedeck_testing.simulation.redis_keyspace import Keyspace, Refused

Words: TypeAlias = list[bytes]
Run: TypeAlias = Callable[[Keyspace, Words], Any]
Entered = TypeVar("Entered", bound=Run)

NOT_AN_INTEGER: Final = "ERR value is not an integer or out of range"
SYNTAX: Final = "ERR syntax error"
BAD_SUBCOMMAND: Final = "ERR unknown subcommand or wrong number of arguments for '%s'. Try %s HELP."
INT64: Final = 1 << 63


class Status(bytes):
    """A reply that is a status (`+OK`): bytes to clients, a table to scripts."""

    __slots__ = ()


OK: Final = Status(b"OK")


@dataclass(frozen=True, slots=True)
class Command:
    """What the server knows of a command before it runs."""

    name: bytes
    run: Run
    arity: int
    """Words with the name; negative: at least so many."""
    writes: bool
    needs_memory: bool | tuple[bytes, ...]
    """Refused where memory is full (`denyoom`): the command, or these parts of it."""

    def takes_memory(self, words: Words) -> bool:
        """Whether these words are refused where memory is full."""
        if isinstance(self.needs_memory, bool):
            return self.needs_memory
        return len(words) > 4 and words[1].upper() in self.needs_memory


COMMANDS: Final[dict[bytes | str, Command]] = {}
"""By name, in upper and lower case, as bytes and as text."""


def command(
    name: str, arity: int, *, writes: bool = False, needs_memory: bool | tuple[bytes, ...] = False
) -> Callable[[Entered], Entered]:
    """Enters a function into the table."""

    def enter(run: Entered) -> Entered:
        known = Command(name.lower().encode(), run, arity, writes, needs_memory)
        for spelling in (name, name.lower()):
            COMMANDS[spelling] = COMMANDS[spelling.encode()] = known
        return run

    return enter


def find(name: bytes | str) -> Command | None:
    """The command of that name, in any case."""
    return COMMANDS.get(name) or COMMANDS.get(name.upper())


def arity_error(known: bytes) -> Refused:
    """The refusal of a command with too few or too many words."""
    return Refused(f"ERR wrong number of arguments for '{text(known)}' command")


def text(word: bytes) -> str:
    """The word within the text of a refusal, which is one line."""
    return word.decode("utf-8", "replace").replace("\r", " ").replace("\n", " ")


class WrongWords(Refused):
    """A command that has parts has no such part, or that part wants other words: scripts are told so in other words."""

    in_scripts: str


def unknown_subcommand(words: Words) -> WrongWords:
    """The refusal of a command whose second word it does not know."""
    name = words[0].upper().decode()
    refusal = WrongWords(f"ERR unknown subcommand '{text(words[1])}'. Try {name} HELP.")
    refusal.in_scripts = "ERR Unknown Redis command called from script"
    return refusal


def subcommand_arity(words: Words) -> WrongWords:
    """The refusal of a part with too few or too many words."""
    name = f"{text(words[0])}|{text(words[1])}".lower()
    refusal = WrongWords(f"ERR wrong number of arguments for '{name}' command")
    refusal.in_scripts = "ERR Wrong number of args calling Redis command from script"
    return refusal


def integer(word: bytes, refusal: str = NOT_AN_INTEGER) -> int:
    """A whole number of 64 bits, written as Redis wants it: no sign but a minus, no leading zero, no space.

    Raises:
        Refused: it is none.
    """
    try:
        number = int(word)
    except ValueError:
        raise Refused(refusal) from None
    if not -INT64 <= number < INT64 or b"%d" % number != word:
        raise Refused(refusal)
    return number


def number(word: bytes, refusal: str) -> float:
    """A number, `inf` and `-inf` among them.

    Raises:
        Refused: it is none.
    """
    try:
        value = float(word)
    except ValueError:
        raise Refused(refusal) from None
    if value != value or word.strip() != word or b"_" in word:  # noqa: PLR0124 - NaN is the one that differs from itself
        raise Refused(refusal)
    return value


def double(value: float) -> bytes:
    """As Redis 7 writes it in RESP2."""
    return b"%.17g" % value
