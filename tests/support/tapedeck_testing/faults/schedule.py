"""Which fault comes when: a list that follows from a seed. Does nothing by itself."""

import random
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal[
    "redis paused",
    "redis killed",
    "redis slow",
    "redis client pause",
    "listen killed",
    "listen restarted",
    "clients cut",
]

KINDS: Final[tuple[Kind, ...]] = (
    "redis paused",
    "redis killed",
    "redis slow",
    "redis client pause",
    "listen killed",
    "listen restarted",
    "clients cut",
)
LONG_S: Final = 34.0
"""Longer than the 30 s without progress after which a socket is closed with 1013."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault."""

    at_s: float
    """Since the devices began."""
    kind: Kind
    lasts_s: float
    """How long Redis is away or slow; 0 where the fault is a moment."""
    share: float
    """Of the devices, whose lines are cut."""


def schedule(seed: int, seconds: float, every_s: tuple[float, float] = (2.0, 6.0)) -> list[Fault]:
    """Faults for so many seconds, one after the other, each kind once before any comes again.

    A run of four minutes or more has one that lasts longer than a socket's patience.
    """
    chance = random.Random(seed)
    faults: list[Fault] = []
    bag: list[Kind] = []
    at_s = chance.uniform(*every_s) / 2
    long_left = seconds >= 240
    while at_s < seconds:
        if not bag:
            bag = list(KINDS)
            chance.shuffle(bag)
        kind = bag.pop()
        lasts_s = 0.0
        if kind in ("redis paused", "redis killed"):
            lasts_s = chance.uniform(0.2, 4.0)
            if long_left and kind == "redis paused" and at_s > seconds / 3:
                lasts_s, long_left = LONG_S, False
        elif kind in ("redis slow", "redis client pause"):
            lasts_s = chance.uniform(1.0, 5.0)
        faults.append(Fault(at_s, kind, lasts_s, chance.uniform(0.05, 0.4)))
        at_s += lasts_s + chance.uniform(*every_s)
    return faults
