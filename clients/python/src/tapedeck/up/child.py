"""One child process that is started again whenever it dies, unless it never worked: its settings are wrong, or it ends at once again and again.

Owns the process and its log file. Does not know what the process is for, nor the other children.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tapedeck.up.log_lines import last_lines
from tapedeck.up.restarts import Restarts

LAUNCHER = str(Path(__file__).with_name("launch.py"))
SETTINGS_ARE_WRONG = 2
"""The services' exit code for settings that can't be."""
GIVEN_UP_AFTER = 6
"""So many young deaths in a row of a child that has never worked: it will not work by itself."""

Say = Callable[[str], None]
"""Tells the operator one line."""


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What is run, and how."""

    name: str
    """For people and for the log file: `listen-1`."""
    component: str
    """`listen`, `pusher`, `storage_api` or `redis`: where its pid stands in the ready file."""
    command: tuple[str, ...]
    environ: Mapping[str, str]
    log: Path
    admin_url: str = ""
    """Where it says whether it is ready; empty for Redis."""
    parent_death_signal: signal.Signals = signal.SIGKILL
    inherited: tuple[int, ...] = ()
    """File descriptors that it keeps open."""


@dataclass(slots=True)
class Child:
    """A child and its life so far."""

    spec: ChildSpec
    say: Say
    changed: Callable[[], None]
    """Called when `pid` has changed."""
    pid: int | None = None
    """Of the running process; None while there is none."""
    starts: int = 0
    exit_code: int | None = None
    """Of the last process that ended: negative for a signal."""
    proven: bool = False
    """It has worked: from now on it is started again, however it ends."""
    given_up: bool = False
    """It was not started again: it never worked, and will not until somebody mends what its log says."""
    _log_began: int | None = None
    """Size of its log before the first start: what stands there is a former run's."""
    _log_of_this: int = 0
    """The same before the last start."""
    _process: asyncio.subprocess.Process | None = None
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _restarts: Restarts = field(default_factory=Restarts)

    async def run(self) -> None:
        """Keep it running until `stop`, or until it is given up."""
        while not self._stopping.is_set():
            began = time.monotonic()
            self._process = await self._start()
            self.pid = self._process.pid
            self.starts += 1
            self.changed()
            self.exit_code = await self._process.wait()
            self.pid = None
            if self._stopping.is_set():
                break
            pause_s = self._restarts.pause_s(time.monotonic() - began)
            hopeless = self.exit_code == SETTINGS_ARE_WRONG or self._restarts.young_deaths >= GIVEN_UP_AFTER
            if hopeless and not self.proven:
                self.given_up = True
                break
            again = f"in {pause_s:.1f} s" if pause_s else "now"
            words = "".join(f": {line}" for line in last_lines(self.spec.log, self._log_of_this)[-1:])
            self.say(
                f"{self.spec.name} {ended(self.exit_code)}{words}; starting it again {again} (log: {self.spec.log})"
            )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._stopping.wait()
        self.changed()

    async def stop(self, deadline_s: float) -> None:
        """End it: SIGTERM, and SIGKILL when the deadline has passed."""
        self._stopping.set()
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(deadline_s):
                await process.wait()
        except TimeoutError:
            self.say(f"{self.spec.name} did not end within {deadline_s:.0f} s and was killed")
            self.kill()
            await process.wait()

    def kill(self) -> None:
        """SIGKILL, now."""
        self._stopping.set()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    def log_tail(self) -> str:
        """The last lines of its log, without those of former runs."""
        return "\n".join(last_lines(self.spec.log, self._log_began or 0))

    async def _start(self) -> asyncio.subprocess.Process:
        launcher = [
            sys.executable,
            "-I",
            "-S",
            LAUNCHER,
            str(int(self.spec.parent_death_signal)),
            str(os.getpid()),
        ]
        with self.spec.log.open("ab") as log:
            self._log_of_this = log.tell()
            if self._log_began is None:
                self._log_began = self._log_of_this
            return await asyncio.create_subprocess_exec(
                *launcher,
                *self.spec.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(self.spec.environ),
                pass_fds=self.spec.inherited,
                start_new_session=True,  # Ctrl-C on the terminal is for the parent: it ends them in order
            )


def ended(exit_code: int) -> str:
    """How a process ended, for people."""
    if exit_code < 0:
        return f"was killed by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"
