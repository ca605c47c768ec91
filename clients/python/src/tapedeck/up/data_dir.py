"""The data directory of a stack: its lock, its secrets, its ports and its logs.

redis/    the embedded Redis' AOF          store/    the embedded bucket
logs/     what each child says             secrets/  keys, readable by their owner only
ports.json  ports that were chosen         up.lock   held by the running `up`, and by its Redis
"""

import fcntl
import hashlib
import json
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import msgspec

from tapedeck import sealing_key
from tapedeck.errors import AlreadyRunningError

SCOPES = ("audio:read", "audio:write", "users:admin", "ops:admin")
TAKEOVER_S = 10.0
"""How long to wait for what a killed `up` left: its Redis holds the lock too, until it has ended."""
MAX_LOG_BYTES = 16 * 1024 * 1024


class DataDir:
    """One stack's directory, made on the way."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        for part in (self.path, self.redis, self.logs):
            part.mkdir(parents=True, exist_ok=True)
        self._secrets = self.path / "secrets"
        self._secrets.mkdir(mode=0o700, exist_ok=True)

    @property
    def redis(self) -> Path:
        """Where the embedded Redis keeps its AOF."""
        return self.path / "redis"

    @property
    def logs(self) -> Path:
        """Where children log."""
        return self.path / "logs"

    @property
    def store_url(self) -> str:
        """The embedded bucket."""
        return f"file://{self.path / 'store'}"

    def lock(self) -> IO[str]:
        """Hold the directory for as long as the file, or a child that inherited it, is open.

        Raises AlreadyRunningError while another `up` holds it; what is left of a killed one is waited for.
        """
        file = (self.path / "up.lock").open("a+")
        deadline = time.monotonic() + TAKEOVER_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip()
                if time.monotonic() < deadline and not _alive(holder):
                    time.sleep(0.05)
                    continue
                file.close()
                raise AlreadyRunningError(
                    f"another `tapedeck up` (process {holder or 'unknown'}) runs on {self.path}",
                    hint="stop it first, or choose another --data-dir",
                ) from None
            file.seek(0)
            file.truncate()
            file.write(f"{os.getpid()}\n")
            file.flush()
            return file

    def jwt_secret(self) -> tuple[Path, str]:
        """The file of the secret that user tokens are signed with, and what it holds."""
        path = self._secrets / "jwt-secret"
        return path, _once(path, lambda: secrets.token_urlsafe(48))

    def service_tokens(self) -> tuple[Path, str]:
        """The file of service tokens (hashes), and the plaintext of the one that is in it."""
        token = _once(self._secrets / "service-token", lambda: secrets.token_urlsafe(32))
        digest = hashlib.sha256(token.encode()).hexdigest()
        path = self._secrets / "service-tokens.json"
        entry = {"name": "tapedeck-up", "sha256": digest, "scopes": list(SCOPES)}
        if not path.exists():  # one that is there may have been added to
            _write_private(path, json.dumps([entry], indent=2) + "\n")
        return path, token

    def encryption_keys(self) -> Path:
        """The file of the ring that seals what lies in the embedded bucket."""
        path = self._secrets / "encryption-keys"
        _once(path, lambda: sealing_key.new_entry(sealing_key.new_id()) + "\n")
        return path

    def kept_ports(self) -> dict[str, int]:
        """Ports that were chosen at an earlier start; none where the file is damaged (they are chosen anew)."""
        try:
            return msgspec.json.decode((self.path / "ports.json").read_bytes(), type=dict[str, int])
        except (FileNotFoundError, msgspec.MsgspecError):
            return {}

    def keep_ports(self, ports: dict[str, int]) -> None:
        """Note the ports for the next start."""
        _write_private(self.path / "ports.json", json.dumps(ports, indent=2) + "\n")

    def log_path(self, name: str) -> Path:
        """The log of a child; one that has grown large is moved to `….log.1` first."""
        path = self.logs / f"{name}.log"
        if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
        return path


def _once(path: Path, make: Callable[[], str]) -> str:
    if not path.exists():
        _write_private(path, make())
    return path.read_text().strip()


def _write_private(path: Path, text: str) -> None:
    """Whole or not at all, readable by the owner only."""
    part = path.with_suffix(f"{path.suffix}.tmp")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
