"""What `tapedeck doctor` says of the settings in its environment: each service that is installed reads them, as it would at its start.

The services are started as processes for it, which connect to nothing. What is not set at all is not said to be wrong: the services may have
it from elsewhere.
"""

import asyncio
import importlib.util
import os
import re
import sys
from collections.abc import Mapping
from typing import Final

from tapedeck.operators.findings import Finding, fine, note, wrong

SERVICES: Final = ("listen", "pusher", "storage_api")
WITHIN_S: Final = 20.0
SETTINGS_ARE_WRONG: Final = 2
MISSING: Final = " must be set: "


async def examine_settings(environ: Mapping[str, str]) -> list[Finding]:
    """One finding for each mistake, whichever services make it, or one that there is none."""
    installed = [one for one in SERVICES if importlib.util.find_spec(one) is not None]
    if not installed:
        return [note("settings", "no service is installed here: their settings are not read")]
    answers = await asyncio.gather(*(_mistakes(one, environ) for one in installed))
    given = {name for name, value in environ.items() if name.startswith("TAPEDECK_") and value.strip()}
    said: dict[str, list[str]] = {}
    for service, mistakes in zip(installed, answers, strict=True):
        if mistakes is None:
            return [note("settings", f"{service} did not say whether it can use them")]
        for one in mistakes:
            if MISSING not in one and given & set(re.findall(r"TAPEDECK_[A-Z0-9_]+", one)):
                # Each says what it is to that service.
                said.setdefault(re.sub(r"(\(it is .*?\)): .*", r"\1", one), []).append(service)
    if not said:
        return [fine("settings", f"{', '.join(installed)} can use what is set here")]
    return [
        wrong("settings", f"{one} ({', '.join(services)})", "no service starts with it: set it right")
        for one, services in said.items()
    ]


async def _mistakes(service: str, environ: Mapping[str, str]) -> list[str] | None:
    """What it says; None where it says nothing of use."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", service, "--check"),
        env={**environ},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(WITHIN_S):
            _, said = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return None
    if process.returncode not in (os.EX_OK, SETTINGS_ARE_WRONG):
        return None
    return [line.strip() for line in said.decode(errors="replace").splitlines()[1:] if line.strip()]
