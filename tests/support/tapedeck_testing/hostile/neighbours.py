"""Well-behaved sockets on the server under attack: how their acks come, with and without the attack.

Owns the process that they run in (`neighbour_process`). Must not judge.
"""

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tapedeck_testing.hostile.server import Server
from tapedeck_testing.recordings import opus_packets

ANSWER_S: Final = 45.0
RECORDED_S: Final = 2


@dataclass(frozen=True, slots=True)
class Window:
    """Acks of some time."""

    acks: int
    middle_s: float | None
    """The middle delay; None where no ack came."""
    worst_s: float | None
    closed: list[str]
    """Why sockets are closed that nobody has closed here."""


class Neighbours:
    """`async with Neighbours(server, 4) as neighbours:`."""

    def __init__(self, server: Server, sockets: int) -> None:
        self._server = server
        self._sockets = sockets
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tapedeck_testing.hostile.neighbour_process"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        server = self._server
        plan = {
            "packets": [packet.hex() for packet in opus_packets(RECORDED_S, seed=7)],
            "sockets": [
                {
                    "url": f"ws://127.0.0.1:{server.port}/v4/listen?codec=opus&conversation_id=kept-{number}",
                    "token": server.token(f"neighbour-{number}"),
                }
                for number in range(self._sockets)
            ],
        }
        await self._write(json.dumps(plan))
        if await self._line() != "ready":
            raise RuntimeError(f"the neighbours found no server:\n{server.log()[-2000:]}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.kill()
        await self._process.communicate()

    async def window(self) -> Window:
        """Acks since the last window."""
        return Window(**await self._ask("window"))

    async def settle(self) -> tuple[int, list[str]]:
        """How many sockets are missing acks for what they had sent when this was asked; and those that were closed."""
        answer = await self._ask("settle")
        return answer["missing"], answer["closed"]

    async def stop(self) -> tuple[int, list[str]]:
        """Ends them in order; the same answer for all they ever sent."""
        answer = await self._ask("stop")
        return answer["missing"], answer["closed"]

    async def _ask(self, question: str) -> dict[str, Any]:
        await self._write(question)
        answer: dict[str, Any] = json.loads(await self._line())
        return answer

    async def _write(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        await self._process.stdin.drain()

    async def _line(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(ANSWER_S):
            return (await self._process.stdout.readline()).decode().strip()
