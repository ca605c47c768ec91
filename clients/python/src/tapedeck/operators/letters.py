"""Dead letters, for operators: what they are. The work behind `tapedeck dead list` and `show`."""

import msgspec

from audiobus import Conversation, dead_letters
from audiobus.dead_letters import Found, last_try, marked_ms, tries
from audiobus.errors import BusUnavailableError
from audiobus.letter import legible
from audiobus.masters import Masters
from tapedeck.operators.spans import moment, times


class DeadLetter(msgspec.Struct, frozen=True):
    """One dead letter."""

    conversation: str
    """UID/CID."""
    id: str
    """Of the entry: `<epoch>-<end offset>`. Of what is no letter the field's name; bytes in it that are no text are written `\\xff`."""
    seconds: float
    """Audio that was counted for it."""
    buried_at: str
    """RFC 3339."""
    reason: str
    retry_asked_at: str | None
    """RFC 3339; None where no other try is asked for."""
    tries: int
    """Second tries that failed."""
    last_try: str
    """What is in the way of the one that is asked for, or what the last one failed of."""
    bytes: int
    parses: bool
    """Whether this build can read it. Another try would then most likely succeed."""
    start: str | None
    """Where its audio begins, RFC 3339; None where that cannot be read."""
    is_letter: bool = True
    """False where nothing but the name of the field can be read: damaged, or put there by somebody else. It can be dropped."""

    @property
    def state(self) -> str:
        """In a few words, for people."""
        if self.retry_asked_at is not None:
            return f"another try is asked for{': ' + self.last_try if self.last_try else ''}"
        return f"tried again {times(self.tries)}: {self.last_try}" if self.tries else ""


def describe(conversation: Conversation, found: Found) -> DeadLetter:
    """What there is to say of it."""
    letter = found.letter
    if letter is None:
        return DeadLetter(
            conversation=conversation.tag,
            id=found.id,
            seconds=0.0,
            buried_at="",
            reason=found.defect,
            retry_asked_at=None,
            tries=0,
            last_try="",
            bytes=0,
            parses=False,
            start=None,
            is_letter=False,
        )
    asked_ms = marked_ms(letter)
    read = legible(conversation, letter)
    return DeadLetter(
        conversation=conversation.tag,
        id=found.id,
        seconds=letter.samples / 48_000,
        buried_at=moment(letter.at_ms),
        reason=letter.reason,
        retry_asked_at=None if asked_ms is None else moment(asked_ms),
        tries=tries(letter),
        last_try=last_try(letter),
        bytes=sum(len(value) for value in letter.entry.fields.values()),
        parses=read.parses,
        start=None if read.start_ms is None else moment(read.start_ms),
    )


async def dead(masters: Masters, conversation: Conversation | None) -> list[DeadLetter]:
    """Those of one conversation, or of all, in the order of conversations and ids.

    Raises:
        BusUnavailableError: no server answers; of one conversation, its own.
    """
    if conversation is not None:
        return [describe(conversation, found) async for found in dead_letters.look(masters.bus, conversation)]
    wanted = sorted({one async for page in masters.graves() for one in page}, key=lambda one: one.tag)
    letters: list[DeadLetter] = []
    for one in wanted:
        try:
            letters += [describe(one, found) async for found in dead_letters.look(masters.bus, one)]
        except BusUnavailableError as error:
            masters.lost(masters.bus.keys.dead(one), error)
    return letters
