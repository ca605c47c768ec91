"""What the services say to each other through Redis.

Owns every key, the chunk entry, the scripts that are the only writers of a conversation, and the hints. Knows nothing of
sockets, buckets or HTTP.
"""

from audiobus.answers import (
    Appended,
    Asked,
    ConversationGone,
    CutStands,
    Misplaced,
    NameGone,
    Opened,
    OtherCutStands,
    Replaced,
    SettledMoved,
    Standing,
    stored_offset,
)
from audiobus.append import AppendRequest
from audiobus.bus import Bus
from audiobus.chunk import Chunk, decode_chunk
from audiobus.conversation import Conversation
from audiobus.cut import Cut, Stored, decode_cut
from audiobus.entry import Entry
from audiobus.entry_id import EntryId
from audiobus.hints import Hint, Hints
from audiobus.keys import Keys
from audiobus.position import Lag, Position
from audiobus.state import ConversationState, PreRoll
from audiobus.usage import UsageTotal, UserRequest, UserState, utc_day
from audiobus.writer import Writer

__all__ = [
    "AppendRequest",
    "Appended",
    "Asked",
    "Bus",
    "Chunk",
    "Conversation",
    "ConversationGone",
    "ConversationState",
    "Cut",
    "CutStands",
    "Entry",
    "EntryId",
    "Hint",
    "Hints",
    "Keys",
    "Lag",
    "Misplaced",
    "NameGone",
    "Opened",
    "OtherCutStands",
    "Position",
    "PreRoll",
    "Replaced",
    "SettledMoved",
    "Standing",
    "Stored",
    "UsageTotal",
    "UserRequest",
    "UserState",
    "Writer",
    "decode_chunk",
    "decode_cut",
    "stored_offset",
    "utc_day",
]
