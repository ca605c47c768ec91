"""Planted defects of storage-api: each breaks a rule of docs/deleting.md or docs/merging.md, and must be found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import storage_api.cutting.waiting
import storage_api.deletion.user_audio
import storage_api.merging.sameness
from storage_api.recording import Recordings
from tapedeck_testing.simulation.chance import Fixed
from tapedeck_testing.simulation.garbling import GARBLED, MISREAD
from tapedeck_testing.simulation.mutants import Mutant, replaced

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

CUTS: Final = Fixed(cuts=True)
MERGES: Final = Fixed(merges=True)


async def _no(*_args: Any) -> bool:
    return False


async def _yes(*_args: Any) -> bool:
    return True


async def _none(*_args: Any) -> frozenset[str]:
    return frozenset()


async def _nowhere(*_args: Any) -> list[Any]:
    return []


def _waiting(name: str) -> AbstractContextManager[None]:
    return replaced(storage_api.cutting.waiting, name, _no)


API_MUTANTS: Final = (
    Mutant(
        "what waits is stored before a part is deleted",
        (),
        (),
        fixed=CUTS,
        patch=lambda: _waiting("store_what_waits"),
    ),
    Mutant(
        "a pre-roll with some of a deleted part goes",
        (),
        (),
        fixed=CUTS,
        patch=lambda: _waiting("drop_preroll"),
    ),
    Mutant(
        "readers leave out what is noted as deleted",
        (),
        {"bucket: lands late": 0.3, "process: killed": 0.05},
        fixed=CUTS,
        patch=lambda: replaced(Recordings, "_deleted", _none),
    ),
    Mutant(
        "what goes with a part is counted as deleted",
        (),
        (),
        ("replaced", "deleted = deleted + tonumber(ARGV[i + 1])", ""),
        fixed=CUTS,
    ),
    Mutant(
        "copies are compared before a source goes",
        (),
        {GARBLED: 0.4, MISREAD: 0.1},
        fixed=MERGES,
        patch=lambda: replaced(storage_api.merging.sameness.Sameness, "same", _yes),
    ),
    Mutant(
        "what a source had is counted in the target once",
        (),
        {"redis: executed twice": 0.3},
        ("take_in", "if redis.call('HGET', KEYS[1], field) == ARGV[2] then return 0 end", ""),
        fixed=MERGES,
    ),
    Mutant(
        "what a user recorded goes wherever it was merged",
        (),
        {"bucket: 5xx": 0.2},
        fixed=MERGES,
        patch=lambda: replaced(storage_api.deletion.user_audio, "conversations_of_user", _nowhere),
    ),
)
