"""One library against one bucket, in a process of its own: CPU, memory and import time belong to it alone.

Run as `python -m bench.store_worker LIBRARY ENDPOINT BUCKET COUNT`; prints JSON. LIBRARY is `google` (what `gs://` is) or `obstore` (what it
would be: the very code of `s3://`, over obstore's client for Google).
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, cast

from audiostore.store import Store

BYTES = 240_000
AT_ONCE = 8
LISTED = 1000


def opened(library: str, endpoint: str, bucket: str) -> Store:
    """The store, its library imported here for the first time."""
    if library == "google":
        os.environ["STORAGE_EMULATOR_HOST"] = endpoint
        from audiostore import open_store  # noqa: PLC0415 — the time that it takes is a figure

        return open_store(f"gs://{bucket}")
    from obstore.store import GCSStore  # noqa: PLC0415 — the same

    from audiostore.obstore_client import client_options, no_retries  # noqa: PLC0415 — the same
    from audiostore.obstore_store import ObstoreStore, Traits  # noqa: PLC0415 — the same

    key = {
        "gcs_base_url": endpoint,
        "disable_oauth": True,
        "client_email": "",
        "private_key": "",
        "private_key_id": "",
    }
    client = GCSStore(
        bucket,
        service_account_key=json.dumps(key),
        client_options=client_options(allow_http=True),
        retry_config=no_retries(),
    )
    traits = Traits(metadata_bytes=8192, hyphen="-", reads_back=False, refused="")
    return ObstoreStore(cast("Any", client), f"gs://{bucket}/", "", traits)


async def measured(store: Store, count: int) -> dict[str, float]:
    """CPU milliseconds of this process for each put, get, and list of LISTED names."""
    data = os.urandom(BYTES)
    metadata = {"tapedeck-runs": "1:0-2@3+4", "tapedeck-sha256": "0" * 64}

    async def put(name: str) -> None:
        await store.put(name, data, content_type="audio/ogg; codecs=opus", metadata=metadata)

    async def get(name: str) -> None:
        await store.get(name)

    async def names(prefix: str) -> None:
        assert len([info async for info in store.list(prefix)]) == LISTED

    await put("warm/up")
    await get("warm/up")
    every = [f"u/{number:05d}" for number in range(count)]
    return {
        "put": await _cpu_ms(put, every),
        "get": await _cpu_ms(get, every),
        "list": await _cpu_ms(names, ["listed/"] * 5),
    }


async def _cpu_ms(call: Callable[[str], Awaitable[None]], names: Sequence[str]) -> float:
    began = time.process_time()
    for first in range(0, len(names), AT_ONCE):
        await asyncio.gather(*(call(name) for name in names[first : first + AT_ONCE]))
    return (time.process_time() - began) * 1000 / len(names)


def _highest_mib() -> float:
    """Memory of this process at its highest (Linux); getrusage would count the parent's, from before it became this program."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


async def main(library: str, endpoint: str, bucket: str, count: int) -> None:
    """Measure and print."""
    before_cpu, before_mib = time.process_time(), _highest_mib()
    store = opened(library, endpoint, bucket)
    figures = {"import": (time.process_time() - before_cpu) * 1000}
    figures |= await measured(store, count)
    figures["memory"] = _highest_mib() - before_mib
    await store.close()
    print(json.dumps(figures))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
