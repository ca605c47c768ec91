"""What the services stand on while they are measured: a folder, a Redis of their own, keys, and the services as processes.

Owns the settings that they are started with. Everything is real: `python -m listen`, a Redis server with AOF, a `file://` store.
"""

import hashlib
import json
import secrets
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import jwt

from bench.process import Process, listens, ready
from tapedeck.up import redis_server
from tapedeck.up.ports import LOOPBACK, free_port

MODULES = {
    "listen": "TAPEDECK_LISTEN_BIND",
    "pusher": None,
    "storage_api": "TAPEDECK_STORAGE_BIND",
}
SCOPES = ("audio:read", "audio:write")


@dataclass(frozen=True, slots=True)
class Service:
    """A running service and where it listens."""

    process: Process
    port: int
    """0 for the pusher, which has no public face."""
    admin_port: int


@dataclass(frozen=True, slots=True)
class PlainFiles:
    """A server of plain files, and where they lie."""

    process: Process
    port: int
    folder: Path


@dataclass(frozen=True, slots=True)
class PlainCopies:
    """A server that sends objects as they are."""

    process: Process
    port: int


class Workbench:
    """A folder with a running Redis. Leaving its context ends everything that it started and removes the folder."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="tapedeck-bench-")))
        self.store = self.folder / "store"
        self.redis_port = free_port(LOOPBACK, None)
        self.redis_url = f"redis://{LOOPBACK}:{self.redis_port}"
        self.service_token = secrets.token_urlsafe(32)
        self._jwt_secret = secrets.token_urlsafe(48)
        self._settings = self._write_settings()

    def __enter__(self) -> Self:
        try:
            data = self.folder / "redis"
            data.mkdir()
            command = redis_server.command(redis_server.find(), port=self.redis_port, folder=data)
            self.redis = self.start(command, "redis").until(lambda: listens(self.redis_port), "an answer")
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def start(self, command: list[str], name: str, environ: dict[str, str] | None = None) -> Process:
        """Any process, ended with the workbench."""
        return self._stack.enter_context(Process(command, self.folder / f"{name}.log", environ))

    def python(self, name: str, *arguments: str) -> Process:
        """`python -m arguments`, ended with the workbench."""
        return self.start([sys.executable, "-m", *arguments], name)

    def service(self, module: str, *, port: int = 0, **settings: str) -> Service:
        """A service, ready. `port`: that of another one, beside which it listens; 0 is one of its own."""
        bind, admin_port = MODULES[module], free_port(LOOPBACK, None)
        environ = {**self._settings, **settings, "TAPEDECK_ADMIN_BIND": f"{LOOPBACK}:{admin_port}"}
        if bind is not None:
            port = port or free_port(LOOPBACK, None)
            environ[bind] = f"{LOOPBACK}:{port}"
        process = self.start([sys.executable, "-m", module], module, environ)
        process.until(lambda: ready(admin_port) and (not port or listens(port)), "readiness")
        return Service(process, port, admin_port)

    def plain_files(self) -> PlainFiles:
        """A server of files that knows nothing of audio: what any answer is compared with."""
        folder, port = self.folder / "plain", free_port(LOOPBACK, None)
        folder.mkdir()
        server = self.python("file-server", "bench.file_server", str(port), str(folder))
        server.until(lambda: listens(port), "an answer")
        return PlainFiles(server, port, folder)

    def plain_copies(self, settings: dict[str, str] | None = None) -> PlainCopies:
        """A server of the objects in the store, or in the bucket of these settings, that knows nothing of audio."""
        port = free_port(LOOPBACK, None)
        own = {"TAPEDECK_STORE_URL": f"file://{self.store}", **(settings or {})}
        command = [sys.executable, "-m", "bench.copy_server", str(port), own["TAPEDECK_STORE_URL"]]
        server = self.start(command, f"copy-server-{port}", own)
        return PlainCopies(server.until(lambda: listens(port), "an answer"), port)

    def user_token(self, uid: str) -> str:
        """With which `uid` records."""
        now = int(time.time())
        return jwt.encode({"sub": uid, "iat": now, "exp": now + 86_400}, self._jwt_secret, algorithm="HS256")

    def _write_settings(self) -> dict[str, str]:
        secret, tokens = self.folder / "jwt-secret", self.folder / "service-tokens.json"
        secret.write_text(self._jwt_secret)
        digest = hashlib.sha256(self.service_token.encode()).hexdigest()
        tokens.write_text(json.dumps([{"name": "bench", "sha256": digest, "scopes": SCOPES}]))
        return {
            "TAPEDECK_REDIS_URL": self.redis_url,
            "TAPEDECK_STORE_URL": f"file://{self.store}",
            "TAPEDECK_AUTH": "dev",
            "TAPEDECK_JWT_SECRET_FILE": str(secret),
            "TAPEDECK_SERVICE_TOKENS_FILE": str(tokens),
            "TAPEDECK_PUSHER_NAME": "bench-pusher",
        }
