"""What a fuzz target is: a parser, what it promises, and how to make inputs that get past its first checks.

Owns the shape of a target and the promises that all share. Imports none of the parsers: the engine instruments them first.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TypeAlias

from tapedeck_fuzz import targets

FOLDER = Path(__file__).parents[1]
SEEDS = FOLDER / "seeds"
REGRESSIONS = FOLDER / "regressions"

Raw: TypeAlias = Callable[[bytes], bytes]
"""Changes bytes without knowing what they are: libFuzzer's own mutation, or `edits.raw`."""


class BrokenPromiseError(AssertionError):
    """A parser took or gave what it must not."""


@dataclass(frozen=True)
class Target:
    """One parser. The name is that of its module, of its folder under `seeds`, and of the one under `regressions`."""

    check: Callable[[bytes], int | None]
    """Feeds one input to the parser and checks what comes out.

    None where the input was refused with the documented error; else the bytes that the result takes, as far as they follow
    from the input. Anything that it raises is a finding.
    """
    mutate: Callable[[bytes, Random, Raw], bytes]
    """Changes an input so that it stays well-formed as far as the outer layers of the format go."""
    growth: int = 1
    """The result of an input of n bytes is never larger than `growth * n + floor`."""
    floor: int = 0
    max_bytes: int = 4096
    """Longest input tried."""
    words: tuple[bytes, ...] = ()
    """Dictionary: what stands in inputs of this kind."""

    def examine(self, data: bytes) -> bool:
        """Whether the input was taken. Raises for any broken promise."""
        size = self.check(data)
        if size is None:
            return False
        demand(
            size <= self.growth * len(data) + self.floor,
            f"{len(data)} bytes became {size}: more than {self.growth} times as many and {self.floor}",
        )
        return True


def demand(holds: bool, what: str) -> None:  # noqa: FBT001 - the condition is the point, as in `assert`
    """An assert that survives `python -O` and says what was promised."""
    if not holds:
        raise BrokenPromiseError(what)


def target_names() -> list[str]:
    """Every target there is."""
    return sorted(module.name for module in pkgutil.iter_modules(targets.__path__))


def load_target(name: str) -> Target:
    """The target of this name; imports the parser."""
    target = importlib.import_module(f"{targets.__name__}.{name}").TARGET
    if not isinstance(target, Target):
        raise TypeError(f"{name}: TARGET is no Target")
    return target


def inputs_of(folder: Path, name: str) -> list[Path]:
    """The files of a target under `SEEDS` or `REGRESSIONS`."""
    return sorted(path for path in (folder / name).glob("*") if path.is_file())
