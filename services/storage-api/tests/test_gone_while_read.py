"""A reader does not take what is left of a conversation for all of it, while that is deleted, or taken away by a merge."""

import pytest

from audiobus import Conversation
from audiobus.deletions import set_tombstone


class Interposed:
    """A bucket in which something happens just before it is listed."""

    def __init__(self, store, act) -> None:
        self._store, self._act = store, act

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def list(self, prefix, after=""):
        await self._act()
        async for info in self._store.list(prefix, after):
            yield info


@pytest.mark.parametrize("target", [None, "target"])
async def test_what_goes_between_the_tombstone_and_the_listing_is_not_found(
    serve, one_bus, store, tmp_path, tape, conversation, pcm_tone, target
):
    await tape.record(pcm_tone(8))
    [first] = await tape.drain(0, 4)
    await tape.drain(4, len(tape.chunks))
    into = Conversation(conversation.uid, target) if target else None

    async def goes():
        await set_tombstone(one_bus, conversation, 1_700_000_000_000, merged_into=into)
        await store.delete(first)

    async with serve(one_bus, Interposed(store, goes), tmp_path) as api:
        for rest in ("/chunks", "/audio"):
            answer = await api.http.get(
                api.path(conversation, rest), headers={"Authorization": "Bearer all-token"}
            )
            assert answer.status_code == 404, rest
            await one_bus.command("DEL", one_bus.keys.tomb(conversation))
