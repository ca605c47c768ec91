"""Every conversation of a user, wherever anything is known of it."""

from audiobus import Conversation
from storage_api.deletion.users_conversations import conversations_of_user


async def test_redis_audio_and_what_was_derived_are_looked_through(api, tape_for, store, put):
    await tape_for(Conversation("user-1", "waits")).open()
    await put(store, "chunks/user-1/stored/1600000000.000-1600000001.000.batch.bin")
    await put(store, "waveforms/user-1/drawn/1600000000.000-1600000001.000.batch.bin.peaks")
    await put(store, "chunks/user-11/other/1600000000.000-1600000001.000.batch.bin")
    found = await conversations_of_user(api.services, "user-1")
    assert found == [Conversation("user-1", cid) for cid in ("drawn", "stored", "waits")]
