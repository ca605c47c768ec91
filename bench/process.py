"""One process under measurement: started, waited for, its CPU time read, ended.

Owns its log file and its pid. Must not know what the process does.
"""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil  # type: ignore[import-untyped] # it ships no types

ROOT = Path(__file__).resolve().parent.parent
READY_S = 30.0
END_S = 40.0
STEP_S = 0.02
CPUCLOCK_SCHED = 2
"""With a pid, the number of another process' CPU clock (Linux, clock_getcpuclockid(3)): utime and stime in /proc count in 10 ms."""


class BenchError(Exception):
    """The benchmark cannot go on: what was being done, and what to look at."""


class Process:
    """A running process. Leaving its context ends it."""

    def __init__(self, command: Sequence[str], log: Path, environ: Mapping[str, str] | None = None) -> None:
        """Starts `command` in the repository's folder, with `environ` on top of this process' own."""
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=ROOT,
                env={**os.environ, **(environ or {})},
            )
        self.pid = self._process.pid
        self._measured = psutil.Process(self.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    @property
    def cpu_s(self) -> float:
        """CPU seconds, user and system, of all threads of it and its children so far; exact to the nanosecond."""
        return sum(time.clock_gettime((~pid << 3) | CPUCLOCK_SCHED) for pid in self.pids)

    @property
    def pids(self) -> list[int]:
        """Its own, and those of its children."""
        return [self.pid, *(child.pid for child in self._measured.children(recursive=True))]

    @property
    def ports(self) -> set[int]:
        """Local ports of its connections at this moment."""
        return {connection.laddr.port for connection in self._measured.net_connections("tcp")}

    def log_text(self) -> str:
        """The end of what it wrote."""
        return self._log.read_text(errors="replace")[-2000:]

    def tell(self, line: str) -> None:
        """Writes a line to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def pause(self) -> None:
        """SIGSTOP."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    def until(self, done: Callable[[], bool], what: str, within_s: float = READY_S) -> Self:
        """Waits until `done`. BenchError if the process ends before, or it takes too long."""
        deadline = time.monotonic() + within_s
        while not done():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"waiting in vain for {what} of {self._process.args!r}:\n{self.log_text()}")
            time.sleep(STEP_S)  # between two looks
        return self

    def end(self) -> None:
        """SIGTERM, and SIGKILL where that does not help."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def listens(port: int) -> bool:
    """Whether somebody takes connections on this port of loopback."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ready(admin_port: int) -> bool:
    """Whether the service with this admin port says that it is ready."""
    connection = http.client.HTTPConnection("127.0.0.1", admin_port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
