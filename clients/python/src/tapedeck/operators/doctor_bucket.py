"""What `tapedeck doctor` looks at in a bucket: that it can be listed, written create-only, read and deleted from, and its clock.

The probe lies beside `chunks/`, not in it, under a name that no reader takes for audio, and is removed again.
"""

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

import httpx

from audiostore.errors import AlreadyExistsError, AudiostoreError, NotFoundError
from audiostore.names import ROOT
from audiostore.store import Store
from tapedeck.operators.bucket_access import folder_of, opened
from tapedeck.operators.findings import Finding, clocks, fine, note, wrong

FOLDER: Final = "tapedeck-doctor"
PATIENCE_S: Final = 30.0
DATE_TIMEOUT_S: Final = 5.0


async def examine_bucket(which: str, url: str) -> AsyncIterator[Finding]:
    """`which`: "bucket", or "second bucket"."""
    variable = "TAPEDECK_STORE_URL" if which == "bucket" else "TAPEDECK_FALLBACK_STORE_URL"
    hint = f"{variable}: is the address right, does the bucket exist, and may this account use it? See docs/stores.md"
    try:
        store = await opened(url)
    except AudiostoreError as error:
        yield wrong(which, str(error), hint)
        return
    try:
        async with asyncio.timeout(PATIENCE_S):
            async for finding in _probe(which, store):
                yield finding
        async for finding in _clock(which, url, os.environ):
            yield finding
    except TimeoutError:
        yield wrong(which, f"it did not answer within {PATIENCE_S:.0f} s", hint)
    except AudiostoreError as error:
        yield wrong(which, str(error), hint)
    finally:
        await store.close()


async def _probe(which: str, store: Store) -> AsyncIterator[Finding]:
    async for _ in store.list_folders(ROOT):
        break
    name = f"{FOLDER}/{time.time_ns() // 1_000_000}-{secrets.token_hex(4)}.probe"
    data = b"Tapedeck's doctor was here; this may be deleted.\n"
    await store.put(name, data, content_type="text/plain", metadata={})
    try:
        if await store.get(name) != data:
            yield wrong(which, "it gives back other bytes than were put", "do not use this store")
            return
        try:
            await store.put(name, data + data, content_type="text/plain", metadata={})
        except AlreadyExistsError:
            pass
        else:
            yield wrong(
                which,
                "a put onto a name that is taken is not refused",
                "audio could be overwritten: use a store that honours create-only puts",
            )
            return
    finally:
        await store.delete(name)
    try:
        await store.head(name)
    except NotFoundError:
        yield fine(which, "it was listed, put to, read and deleted from, and refuses a name that is taken")
    else:
        yield wrong(
            which,
            f"{name} was deleted and is still there",
            "the account may not delete, or the bucket retains objects: deletions of users would not happen",
        )


async def _clock(which: str, url: str, environ: Mapping[str, str]) -> AsyncIterator[Finding]:
    """By the `Date` of its server; of a folder, by the time of a new file."""
    path = folder_of(url)
    if path is not None:
        ahead_ms = await asyncio.to_thread(_folder_ahead_ms, path)
        yield clocks(f"{which} clock", ahead_ms, "the clock of its file system")
        return
    address = _server(url, environ)
    if address is None:
        return
    try:
        async with httpx.AsyncClient(timeout=DATE_TIMEOUT_S) as client:
            began_ms = time.time_ns() // 1_000_000
            answer = await client.head(address)
            now_ms = (began_ms + time.time_ns() // 1_000_000) // 2
        date_ms = round(parsedate_to_datetime(answer.headers["date"]).timestamp() * 1000)
    except (httpx.HTTPError, KeyError, ValueError) as error:
        yield note(f"{which} clock", f"its server does not tell the time: {type(error).__name__}")
        return
    # A Date has whole seconds: on average the time is half a second later.
    yield clocks(f"{which} clock", date_ms + 500 - now_ms, "the clock of its server")


def _folder_ahead_ms(path: Path) -> int:
    probe = path / f".tmp-doctor-{secrets.token_hex(4)}"
    began_ns = time.time_ns()
    probe.touch()
    try:
        return (probe.stat().st_mtime_ns - (began_ns + time.time_ns()) // 2) // 1_000_000
    finally:
        probe.unlink()


def _server(url: str, environ: Mapping[str, str]) -> str | None:
    """Where the store's server is."""
    kind = url.partition(":")[0]
    if kind == "gs":
        return environ.get("STORAGE_EMULATOR_HOST") or "https://storage.googleapis.com"
    if kind == "s3":
        for variable in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"):
            if environ.get(variable):
                return environ[variable]
        region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1"
        return f"https://s3.{region}.amazonaws.com"
    if kind == "az":
        for variable in ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"):
            if environ.get(variable):
                return environ[variable]
        account = environ.get("AZURE_STORAGE_ACCOUNT_NAME") or environ.get("AZURE_STORAGE_ACCOUNT")
        return f"https://{account}.blob.core.windows.net" if account else None
    return None
