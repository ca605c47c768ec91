"""`audiobus.ConversationState.from_values`: the fields of `td:conv`, pre-roll and position among them."""

from random import Random

from audiobus.errors import BadEntryError
from audiobus.state import STATE_FIELDS, ConversationState
from tapedeck_fuzz import fields, msgpack_by_hand
from tapedeck_fuzz.target import Raw, Target, demand

_PREROLL = STATE_FIELDS.index("preroll")


def check(data: bytes) -> int | None:
    """Taken: no count that a reader adds up is negative, and what is written back reads the same."""
    values = fields.split(data, len(STATE_FIELDS))
    try:
        state = ConversationState.from_values(values)
    except BadEntryError as error:
        demand(str(error).startswith("conversation hash"), f"the error names no structure: {error}")
        return None
    again = list(values)
    if state.preroll is not None:
        again[_PREROLL] = state.preroll.encode()
    if state.position is not None:
        again[STATE_FIELDS.index("pos")] = str(state.position).encode()
    demand(ConversationState.from_values(again) == state, "written and read again it is another state")
    demand(state.waiting_samples >= 0, "less than nothing waits")
    demand(state.exists == (state.newest is not None), "exists is whether anything is newest")
    return sum(map(len, state.preroll.packets)) if state.preroll else 0


def mutate(data: bytes, random: Random, raw: Raw) -> bytes:
    """One field changed; the pre-roll more often than the others, and from inside."""
    values = fields.split(data, len(STATE_FIELDS))
    preroll = values[_PREROLL]
    if preroll is not None and random.randrange(3) == 0:
        values[_PREROLL] = msgpack_by_hand.mutate(preroll, random, raw)
        return fields.join(values)
    return fields.mutate(data, random, raw, len(STATE_FIELDS))


TARGET = Target(check, mutate, max_bytes=8192, words=(b"pcm16:16000:1:312", b"1732147200123:960,0,48"))
