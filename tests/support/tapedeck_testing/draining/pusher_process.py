"""`python -m pusher` as a process of a test's own, and what can be seen of it from outside."""

import asyncio
import json
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped] # it ships no types

from audiobus.bus import Bus
from audiobus.conversation import Conversation
from audiostore.store import Store

STARTS_WITHIN_S = 60


@dataclass
class Pusher:
    """One process, and what it logs."""

    environ: dict[str, str]
    log: Path
    module: str = "pusher"
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Starts it; it is not waited for."""
        with self.log.open("ab") as out:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", self.module, env=self.environ, stdout=out, stderr=out
            )

    async def end(self, number: signal.Signals) -> int:
        """Its exit code."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self.process.wait()

    def stop(self) -> None:
        """SIGSTOP."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    @property
    def stopped(self) -> bool:
        """Whether it stands still."""
        assert self.process is not None
        return bool(psutil.Process(self.process.pid).status() == psutil.STATUS_STOPPED)

    @property
    def ports(self) -> set[int]:
        """Local ports of its connections."""
        assert self.process is not None
        return {one.laddr.port for one in psutil.Process(self.process.pid).net_connections("tcp")}

    def lines(self) -> list[dict[str, Any]]:
        """What it has logged."""
        text = self.log.read_text() if self.log.exists() else ""
        return [json.loads(line) for line in text.splitlines() if line.endswith("}")]

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of the admin port; 0 before it answers."""
        started = [line for line in self.lines() if line["message"] == "started"]
        if not started:
            return 0, ""
        try:
            with urllib.request.urlopen(started[-1]["admin"] + path, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    async def ready(self) -> bool:
        """Whether it says that it is ready."""
        return (await asyncio.to_thread(self.get, "/readyz"))[0] == 200


async def objects(store: Store) -> int:
    """How many objects of ours a store holds."""
    return len([info async for info in store.list("chunks/")])


def drained(bus: Bus, *conversations: Conversation) -> Callable[[], Awaitable[bool]]:
    """Asks whether everything of these is settled."""

    async def check() -> bool:
        states = [await bus.state(conversation) for conversation in conversations]
        return all(state.settled == state.newest and not state.waiting_samples for state in states)

    return check
