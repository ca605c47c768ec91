"""A process of storage-api, as its operator runs it: in dev mode, on free ports of loopback, over a folder."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import httpx

from tapedeck_testing.free_ports import free_port

SECRET = "storage-api-test-secret-of-32-bytes!"


class StorageProcess:
    """One process; whoever starts it ends it."""

    def __init__(self, tmp_path: Path, redis_url: str, prefix: str, **settings: str) -> None:
        (tmp_path / "secret").write_text(SECRET)
        port, admin = free_port(), free_port()
        self.url, self.admin = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin}"
        self.log = tmp_path / "log"
        environ = {
            **os.environ,
            "TAPEDECK_AUTH": "dev",
            "TAPEDECK_JWT_SECRET_FILE": str(tmp_path / "secret"),
            "TAPEDECK_REDIS_URL": redis_url,
            "TAPEDECK_REDIS_PREFIX": prefix,
            "TAPEDECK_STORE_URL": f"file://{tmp_path}/store",
            "TAPEDECK_STORAGE_BIND": f"127.0.0.1:{port}",
            "TAPEDECK_ADMIN_BIND": f"127.0.0.1:{admin}",
            **settings,
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "storage_api"], env=environ, stdout=log, stderr=log
            )

    async def answers(self, url: str) -> httpx.Response:
        """The answer, as soon as there is one that is not 503; within a minute."""
        deadline = time.monotonic() + 60
        async with httpx.AsyncClient() as http:
            while True:
                try:
                    answer = await http.get(url)
                except httpx.TransportError:
                    assert self.process.poll() is None, self.log.read_text()
                    assert time.monotonic() < deadline
                else:
                    if answer.status_code != 503 or time.monotonic() > deadline:
                        return answer
                await asyncio.sleep(0.05)

    def kill(self) -> None:
        """Ends it, if it has not ended."""
        self.process.kill()
        self.process.wait()
