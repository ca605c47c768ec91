"""The ready file: where a system that `tapedeck up` runs can be found, and the keys to it (docs: operations).

Owns its form and that it is replaced as a whole. Holds secrets: only its owner may read it.
"""

import contextlib
import os
from pathlib import Path
from tempfile import NamedTemporaryFile

import msgspec

from tapedeck.errors import SystemNotFoundError

DEFAULT_PATH = Path("data/ready.json")


class Pids(msgspec.Struct, frozen=True):
    """Process ids by component; `redis` is empty where it is not ours."""

    listen: tuple[int, ...] = ()
    pusher: tuple[int, ...] = ()
    storage_api: tuple[int, ...] = ()
    redis: tuple[int, ...] = ()


class Admin(msgspec.Struct, frozen=True):
    """Base addresses of the admin ports (/livez, /readyz, /metrics); of several processes, the one that speaks for all."""

    listen: str
    pusher: str
    storage_api: str


class Ready(msgspec.Struct, frozen=True):
    """A running system."""

    listen: str
    """ws://host:port"""
    storage_api: str
    """http://host:port"""
    redis: str
    store: str
    console: str
    service_token: str
    """Plaintext of a service token with every scope; empty where the operator brought tokens of their own."""
    jwt_secret: str
    """What user tokens are signed with (HS256); empty where there is none."""
    pids: Pids
    admin: Admin
    fallback_store: str = ""
    """The second bucket; empty where there is none."""
    encryption_keys_file: str = ""
    """The ring of keys that was made for the bucket in the data directory; empty where the operator brought one, or another bucket."""


def prepare(path: Path) -> None:
    """Remove it, and see that it can be written. Raises OSError."""
    _replace(path, b"")
    remove(path)


def write(path: Path, ready: Ready) -> None:
    """Replace the file, so that a reader sees the old one or the new one. Raises OSError."""
    _replace(path, msgspec.json.format(msgspec.json.encode(ready), indent=2) + b"\n")


def remove(path: Path) -> None:
    """There is no system any more, or not yet. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


def _replace(path: Path, text: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(
        dir=path.parent, prefix=path.name, suffix=".tmp", delete=False
    ) as file:  # mode 0600
        part = Path(file.name)
        try:
            file.write(text)
            file.flush()
            part.replace(path)
        except OSError:
            part.unlink()
            raise


def read(path: Path) -> Ready:
    """Raises SystemNotFoundError where there is none, or it can't be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Ready)
    except FileNotFoundError as error:
        raise SystemNotFoundError(
            f"there is no running system: {path} does not exist",
            hint="start one with `tapedeck up`, or say where it is with --url and --token",
        ) from error
    except (OSError, msgspec.MsgspecError) as error:
        raise SystemNotFoundError(f"{path} can't be read: {error}", hint="is it a ready file?") from error


def chosen_path() -> Path:
    """TAPEDECK_READY_FILE, else ./data/ready.json."""
    return Path(os.environ.get("TAPEDECK_READY_FILE") or DEFAULT_PATH)
