"""What there is beside the buffers, so that nobody takes "nothing waits" for "all is stored": dead letters, and whether this is our Redis at all."""

from collections.abc import Iterable
from typing import Any

import msgspec

from audiobus import Conversation
from audiobus.errors import BusContractError, BusError, BusUnavailableError
from audiobus.look import look_each
from audiobus.masters import Masters
from tapedeck.operators.spans import length, several


class Beside(msgspec.Struct, frozen=True):
    """Of all conversations, or of the one that was asked for."""

    dead_letters: int = 0
    dead_seconds: float = 0.0
    """Audio in them."""
    nothing_of: str = ""
    """Where no key of ours is in this Redis: which database and prefix that is, as `db 5, prefix td:`. Empty where there is one."""

    def says(self, nothing_waits: str) -> str:
        """The sentence where nothing waits, which begins so; of what else there is."""
        if self.nothing_of:
            return f"{nothing_waits}: {self.emptiness}; {PREFIX_HINT}"
        if self.dead_letters:
            return f"{nothing_waits}; {self.graves}"
        return f"{nothing_waits}: all that was recorded is stored"

    @property
    def emptiness(self) -> str:
        """That there is nothing of ours, where that is so."""
        return f"this Redis ({self.nothing_of}) holds nothing of Tapedeck"

    @property
    def graves(self) -> str:
        """What lies in dead letters, where something does."""
        letters = several(self.dead_letters, "dead letter", "dead letters")
        return f"{length(self.dead_seconds)} lie in {letters}: `tapedeck dead list`"


PREFIX_HINT = "unless it is new, check the address and TAPEDECK_REDIS_PREFIX"


async def beside(masters: Masters, conversation: Conversation | None = None) -> Beside:
    """Looks at those masters that answer.

    Raises:
        BusUnavailableError: none does.
    """
    letters = samples = 0
    if conversation is not None:
        letters, samples = await _letters(masters, [conversation])
    else:
        seen: set[Conversation] = set()
        async for page in masters.graves():
            fresh = [one for one in dict.fromkeys(page) if one not in seen]
            seen.update(fresh)
            more, counted = await _letters(masters, fresh)
            letters, samples = letters + more, samples + counted
    nothing_of = "" if conversation is not None or letters or await any_of_ours(masters) else _where(masters)
    return Beside(letters, samples / 48_000, nothing_of)


async def any_of_ours(masters: Masters) -> bool:
    """Whether any master holds a key under our prefix, or does not answer.

    Raises:
        BusUnavailableError: none answers.
    """
    pattern = masters.bus.keys.any_pattern()
    for server in await masters.there():
        try:
            async for _keys in server.keys(pattern, None):
                return True
        except BusUnavailableError as error:
            masters.missed(server, error)
    return bool(masters.away)


async def _letters(masters: Masters, conversations: Iterable[Conversation]) -> tuple[int, int]:
    """How many, and the audio in them."""
    letters = samples = 0
    wanted = list(conversations)
    for one, found in zip(wanted, await look_each(masters.bus, wanted), strict=True):
        if isinstance(found, BusUnavailableError):
            masters.lost(masters.bus.keys.dead(one), found)
        elif isinstance(found, BusContractError):
            masters.spoilt(masters.bus.keys.dead(one), str(found))
        elif isinstance(found, BusError):
            raise found
        else:
            letters += found.letters
            samples += max(0, found.balance.dead)
    return letters, samples


def _where(masters: Masters) -> str:
    """Of a cluster there is but one database."""
    client: Any = masters.bus.client
    kwargs = client.get_connection_kwargs() if hasattr(client, "connection_pool") else {}
    db = f"db {kwargs.get('db') or 0}, " if kwargs else ""
    return f"{db}prefix {masters.bus.keys.prefix or 'none'}"
