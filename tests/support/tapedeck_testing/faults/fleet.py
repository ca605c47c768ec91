"""The devices of a run, in processes of their own: started together, told things, and asked at the end what they have seen.

Owns the processes and their stdin. What a device does is `device`'s, how one process runs many of them is `load`'s.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tapedeck_testing.faults.load import LoadSpec, Seen
from tapedeck_testing.faults.reading import Reads

if TYPE_CHECKING:
    from asyncio.subprocess import Process


class Fleet:
    """The processes of one run."""

    def __init__(self, specs: Sequence[LoadSpec], directory: Path) -> None:
        self._specs = specs
        self._directory = directory
        self._processes: list[Process] = []
        self._one_asks = asyncio.Lock()
        self.reads = Reads()
        """What the readers beside the devices have seen, once all have ended."""

    async def run(self, meanwhile: "Meanwhile") -> dict[int, Seen]:
        """Runs the devices to their end, and `meanwhile` beside them; what each of them has seen."""
        try:
            for number, spec in enumerate(self._specs):
                await self._start(number, spec)
            for process in self._processes:
                assert process.stdout is not None
                await process.stdout.readline()
            beside = asyncio.create_task(meanwhile(self))
            ending = asyncio.create_task(self._ended())
            await asyncio.wait([beside, ending], return_when=asyncio.FIRST_COMPLETED)
            if beside.done():
                beside.result()  # what goes wrong in it ends the run
            codes = await ending
            beside.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beside
            if any(codes):
                raise RuntimeError(f"a process of devices ended with {codes}")
        finally:
            for process in self._processes:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
        return {one.number: one for one in self._results()}

    async def ask(self, words: str) -> int:
        """Tells all devices something (`load`); the sum of what their processes answer."""
        async with self._one_asks:
            for process in self._processes:
                if process.stdin is not None and process.returncode is None:
                    process.stdin.write(f"{words}\n".encode())
            pipes = [process.stdout for process in self._processes if process.stdout is not None]
            answers = [await pipe.readline() for pipe in pipes]
        return sum(int(answer or 0) for answer in answers)

    async def recording(self) -> int:
        """How many devices have an open session now."""
        return await self.ask("count 1")

    async def _ended(self) -> list[int]:
        return [await process.wait() for process in self._processes]

    async def _start(self, number: int, spec: LoadSpec) -> None:
        spec_path, result = self._directory / f"spec{number}.json", self._directory / f"seen{number}.json"
        spec_path.write_bytes(msgspec.json.encode(spec))
        self._processes.append(
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tapedeck_testing.faults.load", str(spec_path), str(result)),
                env=environ(),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
        )

    def _results(self) -> list[Seen]:
        seen: list[Seen] = []
        for number in range(len(self._specs)):
            path = self._directory / f"seen{number}.json"
            one, reads = msgspec.json.decode(path.read_bytes(), type=tuple[list[Seen], Reads])
            seen += one
            self.reads = self.reads.plus(reads)
        return seen


Meanwhile = Callable[[Fleet], Coroutine[None, None, None]]
"""What is done while devices record."""


def environ() -> dict[str, str]:
    """Where processes of ours find this package: tests import it by a path that only pytest knows."""
    paths = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
