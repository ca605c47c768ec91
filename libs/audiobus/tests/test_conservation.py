"""The books add up whatever becomes of Redis: cut off in the middle of its log, or full in the middle of anything."""

import random
import shutil
from pathlib import Path

import pytest

from audiobus import Bus, Conversation, Cut, CutStands, EntryId, PreRoll
from audiobus.census import exact, exact_totals, totals
from audiobus.deletions import discard, emptied, expunge, set_tombstone, sweep, unstore
from audiobus.errors import BusFullError, ConversationDeletedError
from tapedeck_testing.redis_binary import any_server, bundled
from tapedeck_testing.redis_process import RedisProcess

STEPS = 400
CUTS = 12


class Life:
    """Conversations to which anything happens that may happen, by a seed."""

    def __init__(self, bus: Bus, recorder_on, seed: int) -> None:
        self.bus = bus
        self.random = random.Random(seed)
        self.refused = 0
        self.sockets = [recorder_on(bus) for _ in range(6)]
        for number, socket in enumerate(self.sockets):
            socket.conversation = Conversation("user", f"c{number}")

    async def step(self) -> None:
        """One thing, to one of them. What Redis refuses for want of memory, it refuses."""
        socket = self.random.choice(self.sockets)
        what = self.random.choice(
            [self.append] * 12 + [self.store] * 4 + [self.open, self.bury, self.bury, self.discard, self.expunge]
            + [self.unstore, self.forget] + [self.delete] * (socket.conversation.cid == "c0")
        )  # fmt: skip
        try:
            await what(socket)
        except BusFullError:
            self.refused += 1
        except ConversationDeletedError:
            await sweep(self.bus, socket.conversation, 5)

    async def open(self, socket) -> None:
        await socket.open(now_ms=self.random.randrange(10**12, 10**13))

    async def append(self, socket) -> None:
        if socket.newest.epoch == 0:
            await self.open(socket)
        for _ in range(self.random.randrange(1, 4)):
            await socket.append(socket.newest.offset + self.random.randrange(1, 2_000))

    async def store(self, socket) -> None:
        conversation = socket.conversation
        state = await self.bus.state(conversation)
        entries = await self.bus.read(conversation, count=self.random.randrange(1, 20))
        if state.cut is None and entries:
            cut = Cut(1, str(entries[0].id), str(entries[-1].id), f"o{entries[-1].id}", "standard", "size")
            answer = await self.bus.cut(conversation, cut, settled=state.settled)
            if answer == CutStands() and self.random.random() < 0.8:
                samples = sum(entry.counted_samples for entry in entries)
                await self.bus.finish(
                    conversation,
                    cut.encode(),
                    last=cut.last_id,
                    preroll=PreRoll(1, 5, 1, 1, (b"x" * 300,)),
                    samples=samples,
                    ends={entry.id.epoch: entry.id.offset for entry in entries},
                    now_ms=7,
                )
        elif state.cut is not None:
            await expunge(
                self.bus, conversation, _counted(entries), cut=state.cut, name="n", preroll=True, now_ms=1
            )

    async def bury(self, socket) -> None:
        entries = await self.bus.read(socket.conversation, count=20)
        for entry in self.random.sample(entries, min(1, len(entries))):
            samples = entry.counted_samples
            await self.bus.bury(
                socket.conversation, entry, reason="x", first_offset=0, samples=samples, now_ms=1
            )

    async def discard(self, socket) -> None:
        ids = sorted(await self.bus.command("HKEYS", self.bus.keys.dead(socket.conversation)))
        if ids:
            await discard(self.bus, socket.conversation, EntryId.parse(self.random.choice(ids)), 1)

    async def expunge(self, socket) -> None:
        entries = await self.bus.read(socket.conversation, count=20)
        some = self.random.sample(entries, min(2, len(entries)))
        state = await self.bus.state(socket.conversation)
        await expunge(
            self.bus, socket.conversation, _counted(some), cut=state.cut, name="", preroll=False, now_ms=1
        )

    async def unstore(self, socket) -> None:
        name = f"object {self.random.randrange(100)}"
        await unstore(self.bus, socket.conversation, {name: self.random.randrange(50_000)}, 1)

    async def forget(self, socket) -> None:
        await self.bus.forget(socket.conversation, 10**14)

    async def delete(self, socket) -> None:
        if self.random.random() < 0.2:
            await set_tombstone(self.bus, socket.conversation, 5)
            await sweep(self.bus, socket.conversation, 5)
            await emptied(self.bus, socket.conversation)


def _counted(entries) -> dict[EntryId, int]:
    return {entry.id: entry.counted_samples for entry in sorted(entries, key=lambda entry: entry.id)}


def _log(directory: Path) -> Path:
    """The log that the server writes into: one file up to 6.2, several from 7 on."""
    several = sorted(directory.glob("appendonlydir/*.incr.aof"))
    return several[-1] if several else directory / "appendonly.aof"


@pytest.mark.parametrize("binary", [any_server, bundled], ids=["newest", "6.2"])
async def test_the_books_add_up_wherever_the_log_is_cut_off(binary, tmp_path, recorder_on):
    """What a server loses of its log at the end, it loses of both sides: each script is in it wholly, or not at all."""
    whole = RedisProcess(binary(), tmp_path / "whole").start()
    try:
        async with Bus(whole.url) as bus:
            life = Life(bus, recorder_on, seed=5)
            for _ in range(STEPS):
                await life.step()
            total, wrong = await exact_totals(bus)
            assert not wrong
            assert min(total.stored, total.waiting, total.dead, total.deleted) > 0
    finally:
        whole.kill()
    size = _log(whole.directory).stat().st_size
    received = set()
    for cut_off in sorted(life.random.randrange(size) for _ in range(CUTS)):
        part = RedisProcess(binary(), tmp_path / f"part{cut_off}")
        shutil.copytree(whole.directory, part.directory)
        with _log(part.directory).open("r+b") as log:
            log.truncate(cut_off)
        part.start()
        try:
            async with Bus(part.url) as bus:
                total, wrong = await exact_totals(bus)
                assert not wrong, cut_off
                assert total == await totals(bus)
                received.add(total.received)
        finally:
            part.kill()
    assert len(received) > CUTS // 2  # it was cut off at different places


async def test_the_books_add_up_however_often_redis_is_full(redis_process, recorder_on):
    async with Bus(redis_process.url) as bus:
        life = Life(bus, recorder_on, seed=8)
        for step in range(STEPS):
            if step % 7 == 0:
                full = life.random.random() < 0.5
                await bus.command("CONFIG", "SET", "maxmemory", "1" if full else "0")
            await life.step()
            if step % 20 == 0:
                for socket in life.sockets:
                    assert (await exact(bus, socket.conversation)).difference == 0
        assert life.refused > 10
        total, wrong = await exact_totals(bus)
        assert not wrong
        assert total == await totals(bus)
