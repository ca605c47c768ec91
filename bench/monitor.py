"""What clients send to Redis, counted by Redis itself: MONITOR, without the commands that scripts run inside.

Owns one connection and one thread. INFO's statistics would count the commands inside scripts too.
"""

import re
import socket
import threading
from collections import Counter
from functools import cache
from importlib import resources
from types import TracebackType
from typing import Self

from audiobus.script import script

_LINE = re.compile(rb'\+[\d.]+ \[\d+ (?P<client>[^\]]+)\] "(?P<command>[^"]+)"(?: "(?P<first>[^"]{1,64})")?')
LONGEST_S = 5.0


class Monitor:
    """Counts from the moment its context is entered."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._counts: Counter[tuple[int, str]] = Counter()
        self._lock = threading.Lock()
        self._began = threading.Event()
        self._thread = threading.Thread(target=self._read, name="monitor", daemon=True)

    def __enter__(self) -> Self:
        self._socket.sendall(b"MONITOR\r\n")
        self._thread.start()
        if not self._began.wait(LONGEST_S):
            raise TimeoutError("Redis does not answer MONITOR")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(LONGEST_S)
        self._socket.close()

    @property
    def counts(self) -> Counter[tuple[int, str]]:
        """Commands so far by the client's port and the command's name, or that of the script that it runs."""
        with self._lock:
            return self._counts.copy()

    def _read(self) -> None:
        with self._socket.makefile("rb") as lines:
            for line in lines:
                if line == b"+OK\r\n":
                    self._began.set()
                    continue
                found = _LINE.match(line)
                if found is None or found["client"] == b"lua":
                    continue
                port = int(found["client"].rpartition(b":")[2])
                name = found["command"].decode().upper()
                if name == "EVALSHA" and found["first"] is not None:
                    name = _scripts().get(found["first"].decode(), name)
                with self._lock:
                    self._counts[port, name] += 1


@cache
def _scripts() -> dict[str, str]:
    """The project's scripts by digest."""
    files = resources.files("audiobus").joinpath("lua").iterdir()
    return {script(name).digest: name for name in (file.name.removesuffix(".lua") for file in files)}
