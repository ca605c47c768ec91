"""What was derived of audio that is deleted: kept waveforms, by the objects that they are of."""

from collections.abc import Iterable

from audiobus import Conversation
from audiostore.names import conversation_prefix
from audiostore.store import Store
from audiostore.waveform_names import audio_name, conversation_waveforms
from storage_api.deletion.erasing import delete_all


async def delete_derived(store: Store, conversation: Conversation, names: Iterable[str]) -> None:
    """Deletes the waveforms of these objects. StoreError: not all of them are."""
    of = frozenset(names)
    derived = [info.name async for info in store.list(conversation_waveforms(*conversation))]
    await delete_all(store, [name for name in derived if audio_name(name) in of])


async def delete_orphans(store: Store, conversation: Conversation) -> int:
    """Deletes waveforms whose audio others have deleted, or moved to other names; how many. StoreError: not all of them are."""
    derived = [info.name async for info in store.list(conversation_waveforms(*conversation))]
    if not derived:
        return 0
    # After them: whoever keeps one has seen its audio, and looks again.
    audio = {info.name async for info in store.list(conversation_prefix(*conversation))}
    orphans = [name for name in derived if audio_name(name) not in audio]
    await delete_all(store, orphans)
    return len(orphans)
