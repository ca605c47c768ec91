"""The whole system as its users start it: `tapedeck up`, with real processes to kill."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt

READY_DEADLINE_S = 120.0


class Stack:
    """One `tapedeck up` in a data directory of its own."""

    def __init__(self, directory: Path, *options: str, environ: dict[str, str] | None = None) -> None:
        self.directory = directory
        self.ready_file = directory / "ready.json"
        self._options = options
        self._environ = environ or {}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Stack":
        """Starts it and waits until everything answers."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "up.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tapedeck", "up", "--data-dir", str(self.directory / "data")),
                    *("--listen-port", "0", "--storage-port", "0", "--ready-file", str(self.ready_file)),
                    *self._options,
                ],
                stdout=log,
                stderr=log,
                env={**os.environ, **self._environ},
                cwd=self.directory,
            )
        deadline = time.monotonic() + READY_DEADLINE_S
        while not self.ready_file.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"tapedeck up did not become ready:\n{self.log()}")
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.05)
        return self

    def stop(self) -> int:
        """Ends it as Ctrl-C does; answers its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise

    def log(self) -> str:
        """What it has printed, and what its children have logged."""
        texts = [(self.directory / "up.log").read_text(errors="replace")]
        texts += [
            path.read_text(errors="replace")[-4000:]
            for path in sorted((self.directory / "data").rglob("*.log"))
        ]
        return "\n".join(texts)

    @property
    def facts(self) -> dict[str, Any]:
        """The ready file as it is now."""
        loaded: dict[str, Any] = json.loads(self.ready_file.read_text())
        return loaded

    def pids(self, service: str) -> list[int]:
        """The processes of `listen`, `pusher`, `storage_api` or `redis`."""
        pids: list[int] = self.facts["pids"][service]
        return pids

    def kill(self, service: str) -> bool:
        """SIGKILL to each process of a service; False if none was alive to be hit."""
        hit = False
        for pid in self.pids(service):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                hit = True
        return hit

    @contextlib.contextmanager
    def frozen(self, service: str) -> Iterator[None]:
        """Its processes stand still (SIGSTOP) while inside."""
        pids = self.pids(service)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def user_token(self, uid: str, *, lifetime_s: int = 3600) -> str:
        """A token with which the user `uid` records and reads."""
        now = int(time.time())
        return jwt.encode(
            {"sub": uid, "iat": now, "exp": now + lifetime_s}, self.facts["jwt_secret"], algorithm="HS256"
        )

    def http(self) -> httpx.AsyncClient:
        """A client of storage-api that may do everything."""
        facts = self.facts
        return httpx.AsyncClient(
            base_url=facts["storage_api"],
            headers={"Authorization": f"Bearer {facts['service_token']}"},
            timeout=60,
        )

    @property
    def store(self) -> Path:
        """The folder of the `file://` store."""
        return Path(self.facts["store"].removeprefix("file://"))
