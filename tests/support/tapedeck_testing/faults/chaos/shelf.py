"""Where a run's objects lie, and how they are read back for the verdict: past every fault, and past our own store code.

Owns the bucket's server, or the folder and its disk. What objects hold is `verdict`'s to say.
"""

import asyncio
import contextlib
import os
import resource
import subprocess
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import httpx

from tapedeck_testing.bucket_servers import GcsServer
from tapedeck_testing.faults.chaos.bucket_line import BucketLine

PAGE: Final = 1_000
DISK_BYTES: Final = 8 << 30
SMALL_FILE: Final = 2_000
"""What still fits into a file where no disk of our own can be had: less than any batch."""
DOWNLOADS: Final = 8


class Shelf(Protocol):
    """A bucket or a folder."""

    url: str
    """What services are told."""
    fallback_url: str | None

    async def start(self) -> None:
        """Makes it ready to be written to."""

    async def stop(self) -> None:
        """Ends what runs for it."""

    def environ(self) -> dict[str, str]:
        """What services need beside the address."""

    async def objects(self, prefix: str) -> dict[str, bytes]:
        """The objects in a folder, by their names; `prefix` ends with a slash."""

    async def names(self, prefix: str) -> set[str]:
        """The names of the objects in a folder."""

    async def left_in_fallback(self) -> int:
        """Objects that still lie in the second bucket."""


class GcsShelf:
    """fake-gcs-server behind a line of ours; the second bucket, if there is one, on the same server."""

    def __init__(self, directory: Path, *, seed: int, fallback: bool) -> None:
        self._server = GcsServer(directory / "gcs")
        self._fallback = fallback
        self._seed = seed
        self._http: httpx.AsyncClient
        self.line: BucketLine
        self.url = ""
        self.bucket = ""
        self.fallback_bucket = ""
        self.fallback_url: str | None = None

    async def start(self) -> None:
        """See Shelf."""
        await asyncio.to_thread(self._server.start)
        self.bucket = await asyncio.to_thread(self._server.make_bucket)
        self.url = f"gs://{self.bucket}"
        if self._fallback:
            self.fallback_bucket = await asyncio.to_thread(self._server.make_bucket)
            self.fallback_url = f"gs://{self.fallback_bucket}"
        self.line = await BucketLine(self._server.port, seed=self._seed).start()
        self._http = httpx.AsyncClient(base_url=self._server.url, timeout=60, trust_env=False)

    async def stop(self) -> None:
        """See Shelf."""
        with contextlib.suppress(AttributeError):  # it never came so far
            await self.line.stop()
            await self._http.aclose()
        await asyncio.to_thread(self._server.stop)

    def environ(self) -> dict[str, str]:
        """See Shelf."""
        return dict(self._server.settings(self.line.url))

    async def objects(self, prefix: str) -> dict[str, bytes]:
        """See Shelf."""
        room = asyncio.Semaphore(DOWNLOADS)

        async def get(name: str) -> bytes:
            async with room:
                path = f"/storage/v1/b/{self.bucket}/o/{urllib.parse.quote(name, safe='')}"
                answer = await self._http.get(path, params={"alt": "media"})
            answer.raise_for_status()
            return answer.content

        names = await self._names(self.bucket, prefix)
        return dict(zip(names, await asyncio.gather(*map(get, names)), strict=True))

    async def names(self, prefix: str) -> set[str]:
        """See Shelf."""
        return set(await self._names(self.bucket, prefix))

    async def left_in_fallback(self) -> int:
        """See Shelf."""
        return len(await self._names(self.fallback_bucket, "")) if self._fallback else 0

    async def put_into_fallback(self) -> set[str]:
        """Names that lie in the second bucket now."""
        return set(await self._names(self.fallback_bucket, ""))

    async def _names(self, bucket: str, prefix: str) -> list[str]:
        names: list[str] = []
        token = ""
        while True:
            params = {"prefix": prefix, "maxResults": str(PAGE), "fields": "items(name),nextPageToken"}
            answer = await self._http.get(
                f"/storage/v1/b/{bucket}/o", params=params | ({"pageToken": token} if token else {})
            )
            answer.raise_for_status()
            page = answer.json()
            names += [item["name"] for item in page.get("items", [])]
            token = page.get("nextPageToken", "")
            if not token:
                return names


class FileShelf:
    """A folder, on a small disk of its own where one can be mounted."""

    def __init__(self, directory: Path) -> None:
        self.folder = directory / "store"
        self.folder.mkdir(parents=True)
        self.url = f"file://{self.folder}"
        self.fallback_url: str | None = None
        self._mounted = False
        self._limited: set[int] = set()

    async def start(self) -> None:
        """See Shelf."""
        self._mounted = await asyncio.to_thread(self._mount, f"size={DISK_BYTES}")

    async def stop(self) -> None:
        """See Shelf."""
        if self._mounted:
            await asyncio.to_thread(subprocess.run, ["umount", "-l", str(self.folder)], check=False)

    def environ(self) -> dict[str, str]:
        """See Shelf."""
        return {}

    async def objects(self, prefix: str) -> dict[str, bytes]:
        """See Shelf."""
        return await asyncio.to_thread(self._read, prefix)

    async def names(self, prefix: str) -> set[str]:
        """See Shelf."""
        return set(await asyncio.to_thread(self._named, prefix))

    async def left_in_fallback(self) -> int:
        """See Shelf."""
        return 0

    def fill(self, pids: Sequence[int]) -> None:
        """Nothing more fits: the disk shrinks to what is on it, or, without one, files of these processes may not grow."""
        if self._mounted:
            disk = os.statvfs(self.folder)
            used = (disk.f_blocks - disk.f_bfree) * disk.f_frsize
            self._mount(f"remount,size={used + disk.f_frsize}")
        else:
            self._limited |= set(pids)
            _each(self._limited, SMALL_FILE)

    def clear(self) -> None:
        """There is room again."""
        if self._mounted:
            self._mount(f"remount,size={DISK_BYTES}")
        _each(self._limited, resource.RLIM_INFINITY)
        self._limited.clear()

    def _mount(self, how: str) -> bool:
        command = ["mount", "-t", "tmpfs", "-o", how, "tapedeck-chaos", str(self.folder)]
        with contextlib.suppress(FileNotFoundError):
            return subprocess.run(command, capture_output=True, check=False).returncode == 0
        return False

    def _read(self, prefix: str) -> dict[str, bytes]:
        return {name: (self.folder / name).read_bytes() for name in self._named(prefix)}

    def _named(self, prefix: str) -> list[str]:
        files = [path for path in (self.folder / prefix).rglob("*") if path.is_file()]
        return [str(path.relative_to(self.folder)) for path in sorted(files)]


def _each(pids: set[int], size: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
