# ruff: noqa: INP001 - a script that the chart carries, no module
"""What `helm test` runs, in an image of Tapedeck: a second of a tone is recorded and read back, then deleted.

Goes the ways that clients go: `tapedeck send` to listen, `tapedeck get` from storage-api. It needs a user token (TAPEDECK_TOKEN), or the
shared secret of user tokens (TEST_JWT_SECRET_FILE) to sign one with. Ends with 0, or says what is wrong and ends with 1.
"""

import array
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import jwt

from tapedeck import StorageClient
from tapedeck.system import System

RATE = 16_000
TONE_HZ = 440
ALIKE = 0.8
"""Correlation of what was recorded and what is read, which Opus leaves well above 0.9."""
PATIENCE_S = 60
UID_CLAIM = os.environ.get("TEST_UID_CLAIM") or "sub"


def main() -> int:
    """The test."""
    token = os.environ.get("TAPEDECK_TOKEN") or _signed()
    conversation = f"helm-test-{time.time_ns() // 1_000_000}"
    tone = array.array("h", (int(12_000 * math.sin(2 * math.pi * TONE_HZ * n / RATE)) for n in range(RATE)))
    try:
        sent = json.loads(
            _tapedeck(
                token,
                ["send", "-", "--sample-rate", str(RATE), "--conversation", conversation, "--json"],
                tone.tobytes(),
            )
        )
        recording = sent["recordings"][0]
        sys.stdout.write(f"recorded {recording['acked_bytes']} bytes into {conversation}\n")
        heard = array.array("h", _tapedeck(token, ["get", conversation, "-o", "-", "--format", "pcm"]))
        alike = _alike(tone, heard)
        sys.stdout.write(f"read {len(heard)} samples of {len(tone)}, correlation {alike:.3f}\n")
    finally:
        _delete(token, conversation)
    if len(heard) != len(tone) or alike < ALIKE:
        sys.stderr.write("what is read is not what was recorded\n")
        return 1
    if not recording["stored"]:
        sys.stderr.write(
            "it waits in Redis: no pusher has stored it within 15 s, its /readyz?verbose may say why\n"
        )
        return 1
    sys.stdout.write("ok\n")
    return 0


def _signed() -> str:
    """A token of the test's own."""
    secret = os.environ.get("TEST_JWT_SECRET_FILE")
    if not secret:
        sys.exit(
            "there is no user token: user tokens come from elsewhere here, so put one into a Secret"
            " and set tests.existingSecret.name"
        )
    now = int(time.time())
    user = os.environ["TEST_USER"]
    claims: dict[str, object] = {
        "sub": user,
        UID_CLAIM: user,
        "iat": now,
        "exp": now + 600,
    }
    claims |= {
        name: os.environ[f"TEST_{name.upper()}"]
        for name in ("iss", "aud")
        if os.environ.get(f"TEST_{name.upper()}")
    }
    return jwt.encode(claims, Path(secret).read_bytes().strip(), algorithm="HS256")


def _tapedeck(token: str, arguments: list[str], given: bytes = b"") -> bytes:
    """What a command prints; ends the test where the command fails."""
    ended = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "tapedeck", *arguments],
        input=given,
        stdout=subprocess.PIPE,
        env=os.environ | {"TAPEDECK_TOKEN": token, "TAPEDECK_JWT_UID_CLAIM": UID_CLAIM},
        timeout=PATIENCE_S,
        check=False,
    )
    if ended.returncode:
        sys.exit(f"`tapedeck {arguments[0]}` ended with {ended.returncode}")
    return ended.stdout


def _delete(token: str, conversation: str) -> None:
    try:
        user = System(token=token, environ={"TAPEDECK_JWT_UID_CLAIM": UID_CLAIM}).uid
        with StorageClient(os.environ["TAPEDECK_STORAGE_URL"], token) as client:
            client.delete_conversation(user, conversation)
    except Exception as error:  # noqa: BLE001 - what it tested is told anyhow
        sys.stderr.write(f"{conversation} could not be deleted: {error}\n")


def _alike(left: Sequence[int], right: Sequence[int]) -> float:
    """Normalised correlation at lag 0; 0 where either is silent or missing."""
    both = math.sqrt(sum(a * a for a in left) * sum(b * b for b in right))
    return sum(a * b for a, b in zip(left, right, strict=False)) / both if both else 0.0


if __name__ == "__main__":
    sys.exit(main())
