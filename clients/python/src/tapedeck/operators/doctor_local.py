"""What `tapedeck doctor` looks at on this machine: libopus, the keys, and what the services that it can find say of themselves."""

import os
from collections import Counter
from collections.abc import AsyncIterator
from typing import Final

import httpx

from audiobus.errors import BusUnavailableError
from audiobus.masters import Masters
from audiocodec import Decoder, Encoder
from audiocodec.errors import CodecError
from audiocodec.libopus import load
from audiostore.key_ring import KeyRing
from tapedeck import ready_file
from tapedeck.errors import SystemNotFoundError
from tapedeck.operators.findings import Finding, fine, note, wrong
from tapedeck.operators.spans import several, times

RATE: Final = 16_000
SERVICE_TIMEOUT_S: Final = 3.0


def examine_libopus() -> Finding:
    """Finds it, and runs 100 ms of silence through it."""
    try:
        found = load()
        packets = Encoder(RATE).encode(bytes(RATE // 10 * 2))
        decoder = Decoder(RATE, 1)
        samples = sum(len(decoder.decode(packet)) // 2 for packet in packets)
    except (CodecError, OSError) as error:
        return wrong(
            "libopus", str(error), "install libopus (Debian: libopus0), or name it with TAPEDECK_LIBOPUS"
        )
    version = ".".join(str(part) for part in found.version)
    if not packets or not samples:
        return wrong(
            "libopus", f"{version} at {found.path} makes nothing", "name another with TAPEDECK_LIBOPUS"
        )
    return fine("libopus", f"{version} at {found.path} encodes and decodes")


async def examine_keys(masters: Masters, ring: KeyRing) -> Finding:
    """Whether there is a key where users want their audio sealed."""
    bus = masters.bus
    sealed = 0
    for server in await masters.there():
        try:
            async for keys in server.keys(bus.keys.users_pattern(), "hash"):
                for key in keys:
                    sealed += await bus.command("HGET", key, "protection") == b"enhanced"
        except BusUnavailableError as error:
            masters.missed(server, error)
    at_hand = f"{several(len(ring.ids), 'key', 'keys')} at hand"
    if not sealed:
        return fine("keys", f"no user wants sealing; {at_hand}")
    wanted = several(sealed, "user wants", "users want")
    if ring:
        return fine("keys", f"{wanted} sealing; {ring.ids[0]} seals, {at_hand}")
    return wrong(
        "keys",
        f"{wanted} sealing, and no key is at hand here",
        "if the pushers have none either, that audio waits in Redis: set TAPEDECK_ENCRYPTION_KEYS or _FILE; "
        "`tapedeck keys check` says which keys the bucket needs",
    )


async def examine_services() -> AsyncIterator[Finding]:
    """What `/readyz?verbose` of the services in the ready file says."""
    try:
        ready = ready_file.read(ready_file.chosen_path())
    except SystemNotFoundError:
        yield note("services", "no ready file: services are not visible from here", "")
        return
    if os.environ.get("TAPEDECK_REDIS_URL", ready.redis) != ready.redis:
        yield note("services", "the ready file speaks of another Redis than TAPEDECK_REDIS_URL")
    async with httpx.AsyncClient(timeout=SERVICE_TIMEOUT_S) as client:
        for name in ("listen", "pusher", "storage_api"):
            url = getattr(ready.admin, name)
            try:
                answer = await client.get(f"{url}/readyz", params={"verbose": ""})
            except httpx.HTTPError as error:
                yield wrong(
                    name,
                    f"{url} does not answer ({type(error).__name__})",
                    "is it running? Its log says why not",
                )
                continue
            yield readiness(name, answer.status_code, answer.text)


def readiness(name: str, status: int, text: str) -> Finding:
    """What a service says of itself."""
    lines = Counter(line[3:] for line in text.splitlines() if line.startswith(("[!]", "[-]")))
    # Of several processes each says it.
    said = "; ".join(line if count == 1 else f"{line} (said {times(count)})" for line, count in lines.items())
    if status != httpx.codes.OK:
        whole = "; ".join(line.strip() for line in text.splitlines() if line.strip())
        return wrong(
            name, f"not ready: {said or whole[:200]}", "mend what it names; it becomes ready by itself"
        )
    if lines:
        # What of it is wrong already is wrong below, too, by its own name.
        return note(name, f"ready, but warns: {said}", "mend what it warns of, before it matters")
    return fine(name, "ready")
