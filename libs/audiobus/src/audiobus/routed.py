"""A command with the key whose slot says where it is carried out, and the replicas' word for what stands behind an answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from audiobus.errors import NotReplicatedError

WAIT_MS: Final = 1000
"""How long `WAIT` gives the replicas."""

Answer: TypeAlias = Any
"""What redis-py makes of the server's answer, or the exception that it stands for."""


@dataclass(frozen=True, slots=True)
class Routed:
    """A command, and its key (of several, any: they lie in one slot)."""

    key: str
    command: tuple[str | bytes | int, ...]


def confirmed(answers: Sequence[Answer], replicas: Answer, asked_for: int) -> list[Answer]:
    """The answers, if so many replicas have what stands behind them; else `NotReplicatedError` in the place of each.

    `replicas` is what `WAIT` answered right after them, on their own connection: it speaks of everything that the server had done
    by then, also where the command itself found it done and changed nothing.
    """
    if isinstance(replicas, int) and replicas >= asked_for:
        return list(answers)
    # Not in the place of errors: what was not done needs no replica.
    return [
        answer
        if isinstance(answer, Exception)
        else NotReplicatedError(f"confirmed by {replicas} replicas, {asked_for} are asked for")
        for answer in answers
    ]
