"""That what waits of a conversation was exported: its files may come to lie in the bucket without a pusher's doing.

Owns the field `exported` of `td:conv`. It means something until all of that is settled (`ConversationState.export_waits`).
"""

from audiobus.bus import Bus
from audiobus.conversation import Conversation
from audiobus.script import script


async def note(bus: Bus, conversation: Conversation) -> None:
    """Everything up to the newest id is about to be exported: from now on each cut of it is preceded by a look into the bucket.

    Raises:
        BusUnavailableError: it may stand or not. Note it again.
    """
    await script("exported").run(bus.client, [bus.keys.conv(conversation)], [])
