# ruff: noqa: INP001 - a script that a container is given, no module
"""What `docker compose up` needs once, before the services start: secrets of their own, and a bucket. Done twice it changes nothing.

Run in the image of storage-api. Writes into STATE and prints nothing secret.
"""

import hashlib
import json
import os
import secrets
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path

from tapedeck import ready_file

STATE = Path(os.environ.get("STATE", "/var/lib/tapedeck"))
BUCKET = os.environ.get("BUCKET", "tapedeck")


def main() -> None:
    """The secret of user tokens, one service token that may do everything, and the bucket."""
    secret = _once("jwt-secret", secrets.token_urlsafe(48))
    token = _once("service-token", secrets.token_urlsafe(32))
    digest = hashlib.sha256(token.encode()).hexdigest()
    scopes = ["audio:read", "audio:write", "users:admin", "ops:admin"]
    tokens = [{"name": "compose", "sha256": digest, "scopes": scopes}]
    _once("service-tokens.json", json.dumps(tokens))
    _write_ready_file(secret, token)
    _make_bucket(os.environ["STORAGE_EMULATOR_HOST"])


def _once(name: str, text: str) -> str:
    """The text of that file, which is made where it is missing."""
    path = STATE / name
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
    return path.read_text(encoding="utf-8")


def _write_ready_file(secret: str, token: str) -> None:
    """So that `docker compose exec storage-api tapedeck …` finds the system, and may do everything."""
    admin = ready_file.Admin(*(f"http://{name}:9090" for name in ("listen", "pusher", "storage-api")))
    ready = ready_file.Ready(
        listen="ws://listen:8080",
        storage_api="http://storage-api:8081",
        redis="redis://redis:6379/0",
        store=f"gs://{BUCKET}",
        console="http://127.0.0.1:8081/console",
        service_token=token,
        jwt_secret=secret,
        pids=ready_file.Pids(),
        admin=admin,
    )
    ready_file.write(STATE / "ready.json", ready)


def _make_bucket(address: str) -> None:
    request = urllib.request.Request(  # noqa: S310 - the address is the operator's
        f"{address}/storage/v1/b?project=tapedeck",
        json.dumps({"name": BUCKET}).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        urllib.request.urlopen(request, timeout=20).close()  # noqa: S310 - as above
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.CONFLICT:  # it is there already
            raise


if __name__ == "__main__":
    main()
