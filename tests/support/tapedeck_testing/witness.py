"""A recorder that remembers what was acknowledged: it appends through the real writer, and says what Redis lost.

Unlike `listen` it writes nothing again that it was told to be there: whatever a failover takes shows.
"""

import asyncio
import itertools
import time
from dataclasses import dataclass, field
from typing import Final

from audiobus import AppendRequest, Bus, Conversation, EntryId, Misplaced, Position, Replaced, Writer
from audiobus.errors import BusUnavailableError

FORMAT: Final = "opus:16000:1:312"
AGAIN_S: Final = 0.02
"""Before it tries again what Redis did not do."""
_numbers = itertools.count()


@dataclass
class Witness:
    """One socket of one conversation."""

    bus: Bus
    writer: Writer
    conversation: Conversation
    size: int = 300
    """Bytes of a chunk."""
    owner: str = field(default_factory=lambda: f"witness-{next(_numbers)}")
    newest: EntryId | None = None
    """What was acknowledged last."""
    chunks: dict[EntryId, bytes] = field(default_factory=dict)
    """What was acknowledged, less what was lost."""
    lost: list[EntryId] = field(default_factory=list)
    """What was acknowledged and is not there any more."""
    refused: int = 0
    """Times that Redis did not do what it was asked for."""

    async def run(self, stop: asyncio.Event) -> None:
        """Appends until `stop`."""
        while not stop.is_set():
            try:
                if self.newest is None:
                    await self._open()
                else:
                    await self._append(self.newest)
            except BusUnavailableError:
                self.refused += 1
                await asyncio.sleep(AGAIN_S)

    async def wait_for(self, more: int) -> None:
        """Until so many more chunks are acknowledged."""
        least = len(self.chunks) + more
        async with asyncio.timeout(60):
            while len(self.chunks) < least:
                await asyncio.sleep(AGAIN_S)

    async def _open(self, *, own: int | None = None) -> None:
        opened = await self.bus.open(
            self.conversation,
            owner=self.owner,
            format=FORMAT,
            now_ms=_now_ms(),
            resume=own,
            own=own is not None,
        )
        self._stands(EntryId(opened.epoch, opened.offset))

    async def _append(self, before: EntryId) -> None:
        chunk = f"{before}:{self.owner}:".encode().ljust(self.size, b".")
        request = AppendRequest(
            conversation=self.conversation,
            owner=self.owner,
            before=before,
            id=EntryId(before.epoch, before.offset + self.size),
            chunk=chunk,
            samples=48_000,
            position=Position(before.epoch, 48 * before.offset),
            now_ms=_now_ms(),
        )
        match await self.writer.append(request):
            case Misplaced(newest):
                if newest == request.id:
                    self.chunks[request.id] = chunk
                self._stands(newest or EntryId(before.epoch, 0))
            case Replaced():
                await self._open(own=before.epoch)
            case _:
                self.chunks[request.id] = chunk
                self.newest = request.id

    def _stands(self, newest: EntryId) -> None:
        """Goes on from what Redis says to be the newest."""
        gone = [one for one in self.chunks if one > newest]
        for one in gone:
            del self.chunks[one]
        self.lost += gone
        self.newest = newest

    async def held(self) -> dict[EntryId, bytes]:
        """What lies in the buffer, by id; an id that came twice would show as a missing one."""
        entries = await self.bus.read(self.conversation, count=100_000)
        return {entry.id: entry.chunk for entry in entries if entry.chunk is not None}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
