"""What is done to the bucket, or to the disk under a folder. Each function does one fault to its end and answers how often it has hit.

A fault goes on until it has met an upload, for a while at most: after the fault before it pushers may still be holding back.
"""

import asyncio
import random
import time
from typing import Final, get_args

from tapedeck_testing.faults.chaos.bucket_line import How, Op, Spoil
from tapedeck_testing.faults.chaos.kinds import Blow
from tapedeck_testing.faults.chaos.shelf import FileShelf, GcsShelf
from tapedeck_testing.faults.chaos.system import System

UNTIL_HIT_S: Final = 20.0
POLL_S: Final = 0.1
HOWS: Final[dict[str, How]] = {
    "bucket 429": "429",
    "bucket 500": "500",
    "bucket 503": "503",
    "bucket 403": "403",
    "bucket 404": "404",
    "bucket holds replies": "hold",
    "bucket loses replies": "lose",
    "bucket resets lines": "reset",
    "bucket cuts replies": "cut",
    "bucket garbles checksums": "garble",
    "bucket slow": "slow",
}
ALL_OPS: Final[tuple[Op, ...]] = get_args(Op)
NOT_ONLY_UPLOADS: Final = frozenset({"403", "404", "cut"})
"""Before its first upload a pusher lists; who may not do that uploads nothing, and answers to uploads are short."""
NO_ROOM: Final = (b"No space left on device", b"File too large", b"ENOSPC", b"EFBIG")


async def spoil(system: System, blow: Blow, _chance: random.Random) -> int:
    """A share of the requests is spoiled; how many uploads were."""
    line, how = _shelf(system).line, HOWS[blow.kind.name]
    ops: tuple[Op, ...] = ALL_OPS if how in NOT_ONLY_UPLOADS else ("put",)
    before = line.hit(how, ops)
    fault = Spoil(how, 1.0 if how in ("403", "404") else blow.share, _shelf(system).bucket)
    line.spoils.append(fault)
    try:
        began = time.monotonic()
        await asyncio.sleep(blow.lasts_s)
        while line.hit(how, ops) == before and time.monotonic() - began < UNTIL_HIT_S:
            await asyncio.sleep(POLL_S)
    finally:
        line.spoils.remove(fault)
    return line.hit(how, ops) - before


async def away(system: System, blow: Blow, _chance: random.Random) -> int:
    """Nobody listens at its port, then whoever connects is reset, until somebody was; how many were.

    Who is refused at a closed port nobody sees: those who come again are counted.
    """
    line = _shelf(system).line
    before = line.turned_away
    await line.stop()
    try:
        await asyncio.sleep(blow.lasts_s / 2)
    finally:
        line.turning_away = True
        await line.start()
    try:
        began = time.monotonic()
        await asyncio.sleep(blow.lasts_s / 2)
        while line.turned_away == before and time.monotonic() - began < UNTIL_HIT_S:
            await asyncio.sleep(POLL_S)
    finally:
        line.turning_away = False
    return line.turned_away - before


async def away_for_minutes(system: System, blow: Blow, _chance: random.Random) -> int:
    """The first bucket resets every line, so long that the second one is used; how many objects were put there."""
    shelf = _shelf(system)
    shelf.line.away = frozenset({shelf.bucket})
    found: set[str] = set()
    try:
        deadline = time.monotonic() + blow.lasts_s
        while time.monotonic() < deadline:
            await asyncio.sleep(1.0)
            found |= await shelf.put_into_fallback()
    finally:
        shelf.line.away = None
    return len(found)


async def fill_disk(system: System, blow: Blow, _chance: random.Random) -> int:
    """Nothing more fits on the disk; how often a pusher said so."""
    shelf = system.shelf
    assert isinstance(shelf, FileShelf)
    logs = [system.log(f"pusher-{number + 1}") for number in range(system.options.pushers)]
    sizes = [log.stat().st_size if log.exists() else 0 for log in logs]

    def said() -> int:
        texts = []
        for log, size in zip(logs, sizes, strict=True):
            with log.open("rb") as file:
                file.seek(min(size, log.stat().st_size))
                texts.append(file.read())
        return sum(text.count(words) for text in texts for words in NO_ROOM)

    began = time.monotonic()
    try:
        hit = 0
        while time.monotonic() - began < (blow.lasts_s if hit else UNTIL_HIT_S):
            await asyncio.to_thread(shelf.fill, system.pids("pusher"))  # also the ones that came meanwhile
            await asyncio.sleep(POLL_S)
            hit = await asyncio.to_thread(said)
    finally:
        await asyncio.to_thread(shelf.clear)
    return hit


def _shelf(system: System) -> GcsShelf:
    assert isinstance(system.shelf, GcsShelf)
    return system.shelf
