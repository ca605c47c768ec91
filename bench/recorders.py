"""Live conversations as `listen` leaves them in Redis: one chunk a second each, hints and due times too, for as long as it is told.

Run as `python -m bench.recorders PLAN`. Each conversation can bring a backlog, which is written first, as fast as Redis takes it. Commands on
standard input, a line each: `count` answers what was appended and stored, `stop` ends. Answers are lines of JSON in the plan's file.
"""

import asyncio
import json
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from audiobus import AppendRequest, Bus, Conversation, EntryId, Hints, Writer
from audiobus.answers import Appended
from audiobus.errors import BusUnavailableError
from bench.recording import FORMAT, OWNER, Recording, prepare

NEARLY_EMPTY = 2
DUE_MS = 60_000
AT_ONCE = 200
"""Conversations whose backlog is written at the same time."""
TRIES = 5
"""Of a chunk, where Redis is slow."""
STEPS = 20
"""Groups in which chunks are sent, over each second."""


@dataclass(slots=True)
class Live:
    """One conversation."""

    recording: Recording
    backlog: EntryId
    """The newest id when its backlog was written."""
    settled: EntryId | None = None
    batches_waiting: int = 0


class Recorders:
    """All of them."""

    def __init__(self, plan: dict[str, Any], bus: Bus) -> None:
        self._plan, self._bus = plan, bus
        self._hints, self._writer = Hints(bus), Writer(bus)
        self._answers = Path(plan["answers"])
        self._batch_samples = int(plan["batch_seconds"] * 48_000)
        self._lives: list[Live] = []
        self._appended = self._failed = 0
        self._behind_s = 0.0
        self._backlog_left = 0
        self._drained_at: float | None = None
        """When the last backlog was seen to be stored, by the monotonic clock, which all processes share."""
        self._done = asyncio.Event()

    async def run(self) -> None:
        """Opens, writes the backlogs, then records until it is told to stop."""
        prepare()
        asyncio.get_running_loop().add_reader(sys.stdin, self._told)
        async with asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(self._writer.run())
            conversations = [
                Conversation(f"{self._plan['uid']}-{index}", f"c{index}")
                for index in range(self._plan["count"])
            ]
            for at in range(0, len(conversations), AT_ONCE):
                async with asyncio.TaskGroup() as opening:
                    for conversation in conversations[at : at + AT_ONCE]:
                        opening.create_task(self._open(conversation))
            self._backlog_left = len(self._lives)
            self._answer({"opened": len(self._lives)})
            await self._record(tasks)
            self._writer.close()
            await writing

    async def _open(self, conversation: Conversation) -> None:
        backlog_s = self._plan["backlog_seconds"]
        start_ms = _now_ms() - backlog_s * 1000
        opened = await self._bus.open(conversation, owner=OWNER, format=FORMAT, now_ms=_now_ms())
        await self._hints.due(conversation, _now_ms() + DUE_MS)
        await self._bus.note_live(conversation, _now_ms())
        live = Live(Recording(conversation, opened.epoch, start_ms), EntryId(opened.epoch, 0))
        self._lives.append(live)
        for _ in range(backlog_s):
            await self._append(live, live.recording.chunk())
        live.backlog = live.recording.newest

    async def _record(self, tasks: asyncio.TaskGroup) -> None:
        """A chunk a second of each, spread over the second, until told to stop."""
        step, began = 0, time.monotonic()
        while not self._done.is_set():
            at = began + step / STEPS
            self._behind_s = max(self._behind_s, time.monotonic() - at)
            if (early := at - time.monotonic()) > 0:
                await asyncio.sleep(early)
            for live in self._lives[step % STEPS :: STEPS]:
                tasks.create_task(self._append(live, live.recording.chunk(_now_ms())))
            step += 1

    async def _append(self, live: Live, request: AppendRequest) -> None:
        for _ in range(TRIES):
            with suppress(BusUnavailableError):
                answer = await self._writer.append(request)
                break
        else:
            self._failed += 1
            return
        if not isinstance(answer, Appended):
            self._failed += 1
            return
        self._appended += 1
        if live.settled != answer.settled:
            done = live.settled is None or live.settled < live.backlog
            live.settled = answer.settled
            if done and live.settled is not None and live.settled >= live.backlog and live.backlog.offset:
                self._backlog_left -= 1
                self._drained_at = time.monotonic()
        conversation = live.recording.conversation
        if answer.entries <= NEARLY_EMPTY:
            await self._hints.due(conversation, _now_ms() + DUE_MS)
        batches = answer.waiting_samples // self._batch_samples
        if batches > live.batches_waiting:
            await self._hints.ready(conversation, "audio")
        live.batches_waiting = batches

    def _told(self) -> None:
        match sys.stdin.readline().strip():
            case "count":
                self._answer(
                    {
                        "appended": self._appended,
                        "failed": self._failed,
                        "behind_s": self._behind_s,
                        "backlog_left": self._backlog_left,
                        "drained_at": self._drained_at,
                    }
                )
                self._behind_s = 0.0
            case "stop" | "":
                self._done.set()

    def _answer(self, answer: dict[str, Any]) -> None:
        with self._answers.open("a") as file:
            file.write(f"{json.dumps(answer)}\n")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


async def main(plan: dict[str, Any]) -> None:
    """Run until told to stop."""
    async with Bus(plan["url"]) as bus:
        await Recorders(plan, bus).run()


if __name__ == "__main__":
    uvloop.run(main(json.loads(Path(sys.argv[1]).read_text())))
