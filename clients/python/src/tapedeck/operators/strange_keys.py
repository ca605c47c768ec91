"""Keys that are named like a conversation's and are none: of another type, or with a name that none can have. Reads only.

Somebody put them there by hand, or something else uses this Redis with the same prefix. No service makes them, and none looks into them.
"""

from collections.abc import Sequence
from typing import Final

from audiobus.connection import translate_response, translated
from audiobus.errors import BusUnavailableError
from audiobus.masters import Masters, Strange, conversation_of
from audiobus.pipeline import execute
from audiobus.routed import Routed

NO_NAME: Final = "no conversation can have this name"


async def find_buffers(masters: Masters) -> tuple[Strange, ...]:
    """Those that are named like a buffer. Raises BusUnavailableError where no server answers."""
    return await _find(masters, masters.bus.keys.audio_pattern(), b"stream")


async def find_letters(masters: Masters) -> tuple[Strange, ...]:
    """Those that are named like dead letters, likewise."""
    return await _find(masters, masters.bus.keys.dead_pattern(), b"hash")


async def find_all(masters: Masters) -> tuple[Strange, ...]:
    """All of them, likewise."""
    await find_buffers(masters)
    await find_letters(masters)
    return await _find(masters, masters.bus.keys.conv_pattern(), b"hash")


async def _find(masters: Masters, match: str, kind: bytes) -> tuple[Strange, ...]:
    """Adds to what the masters know of such keys, and returns that."""
    for server in await masters.there():
        try:
            async for keys in server.keys(match, None):
                await _look_at(masters, keys, kind)
        except BusUnavailableError as error:
            masters.missed(server, error)
    return masters.strange


async def _look_at(masters: Masters, keys: Sequence[bytes], kind: bytes) -> None:
    named = []
    for key in keys:
        if conversation_of(masters.bus, key) is None:
            masters.spoilt(key, NO_NAME)
        else:
            named.append(key.decode())
    if not named:
        return
    with translated("TYPE"):
        answers = await execute(masters.bus.client, [Routed(key, ("TYPE", key)) for key in named])
    for name, answer in zip(named, answers, strict=True):
        if isinstance(answer, Exception):
            error = translate_response("TYPE", answer)
            if not isinstance(error, BusUnavailableError):
                raise error
            masters.lost(name, error)
            continue
        found = answer if isinstance(answer, bytes) else str(answer).encode()
        if found not in (kind, b"none"):
            masters.spoilt(name, f"it holds a {found.decode()}, not a {kind.decode()}")
