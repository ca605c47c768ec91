"""What waits in Redis: every conversation with something in its buffer, how much, since when, and what is in the way."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from audiobus.connection import translate_response, translated
from audiobus.conversation import Conversation
from audiobus.errors import BusContractError, BusError, BusUnavailableError
from audiobus.look import Look, look_each
from audiobus.masters import Masters
from audiobus.pipeline import execute
from audiobus.routed import Routed

State = Literal["waits", "being stored", "failing", "deleted"]


@dataclass(frozen=True, slots=True)
class Buffer:
    """One conversation's buffer."""

    look: Look
    bytes: int | None
    """Memory that it takes in Redis, about; None where this user may not ask for it."""
    state: State
    why: str
    """Of the last failure, where it fails."""
    fails: int

    @property
    def conversation(self) -> Conversation:
        """Whose."""
        return self.look.conversation

    @property
    def seconds(self) -> float:
        """Audio in it."""
        return self.look.balance.waiting / 48_000


async def waiting(masters: Masters) -> list[Look]:
    """A look at every conversation with something in its buffer, in no order.

    Raises:
        BusUnavailableError: no server answers.
    """
    looks: dict[Conversation, Look] = {}
    async for page in masters.buffers():
        for conversation, one in zip(page, await look_each(masters.bus, page), strict=True):
            if isinstance(one, BusUnavailableError):
                masters.lost(masters.bus.keys.audio(conversation), one)
            elif isinstance(one, BusContractError):
                masters.spoilt(masters.bus.keys.conv(conversation), str(one))
            elif isinstance(one, BusError):
                raise one
            elif one.entries:
                looks[conversation] = one
    return list(looks.values())


async def buffers(masters: Masters, looks: Sequence[Look]) -> list[Buffer]:
    """What more there is to say of these, some hundreds at a time; those whose server does not answer are left out.

    Raises:
        BusUnavailableError: no server answers.
    """
    keys = masters.bus.keys
    commands = []
    for one in looks:
        conv, tomb = keys.conv(one.conversation), keys.tomb(one.conversation)
        audio = keys.audio(one.conversation)
        commands.append(Routed(conv, ("HMGET", conv, "cut", "fails", "fails_why")))
        commands.append(Routed(tomb, ("EXISTS", tomb)))
        commands.append(Routed(audio, ("MEMORY", "USAGE", audio)))
    if not commands:
        return []
    with translated("look"):
        answers = await execute(masters.bus.client, commands)
    found = []
    for one, known, deleted, taken in zip(looks, answers[::3], answers[1::3], answers[2::3], strict=True):
        failed = next((answer for answer in (known, deleted) if isinstance(answer, Exception)), None)
        if failed is not None:
            error = translate_response("look", failed)
            if not isinstance(error, BusUnavailableError):
                raise error
            masters.lost(keys.conv(one.conversation), error)
            continue
        cut, fails, why = known
        count = int(fails or 0)
        state: State = "deleted" if deleted else "failing" if count else "being stored" if cut else "waits"
        size = taken if isinstance(taken, int) else None
        found.append(Buffer(one, size, state, (why or b"").decode(errors="replace") if count else "", count))
    return found
