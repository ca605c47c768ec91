"""Which conversations a user has, wherever anything is known of them: in Redis, of their audio, or of what was derived of it."""

from audiobus import Conversation
from audiobus.recorded_before import conversations_of
from audiostore.names import ROOT, parse_conversation_prefix, user_prefix
from audiostore.waveform_names import ROOT as WAVEFORMS
from audiostore.waveform_names import user_waveforms
from storage_api.services import Services


async def conversations_of_user(services: Services, uid: str) -> list[Conversation]:
    """All of them, in order. Walks all keys of Redis. BusUnavailableError, StoreError."""
    found = await conversations_of(services.bus, uid)
    store = services.bucket.store
    folders = [folder async for folder in store.list_folders(user_prefix(uid))]
    folders += [
        folder.replace(WAVEFORMS, ROOT, 1) async for folder in store.list_folders(user_waveforms(uid))
    ]
    for folder in folders:
        named = parse_conversation_prefix(folder)
        if named is not None:
            found.add(Conversation(*named))
    return sorted(found, key=lambda one: one.cid)
