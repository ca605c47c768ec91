"""The names of keys, and the patterns that find them, whatever the prefix is."""

import pytest

from audiobus import Bus, Conversation
from audiobus.census import known
from audiobus.dead_letters import conversations
from audiobus.keys import Keys
from audiobus.recorded_before import conversations_of
from audiobus.servers import servers

TALK = Conversation("alice", "talk")
PREFIXES = ("x[1]:", "x*?:", "x[^1]\\:", "{one}:", "a}{b:", "audio:{", "ü[", "")
LIKE = "x1]:x1:xy:xz:"
"""What some of these would match as patterns."""


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_key_speaks_of_its_conversation(prefix):
    keys = Keys(prefix)
    for key in (keys.audio(TALK), keys.conv(TALK), keys.dead(TALK)):
        assert keys.conversation_of(key) == TALK
        assert keys.conversation_of(key.encode()) == TALK
    assert keys.conversation_of_audio(keys.audio(TALK).encode()) == TALK
    assert keys.conversation_of(keys.user("alice")) is None


@pytest.mark.parametrize("prefix", [one for one in PREFIXES if one])
async def test_patterns_find_the_keys_of_their_prefix_and_no_others(redis_url, prefix):
    others = [f"{one}audio:{{alice/other}}" for one in LIKE.split(":")]
    async with Bus(redis_url, prefix=prefix) as bus:
        keys = bus.keys
        mine = [keys.audio(TALK), keys.conv(TALK), keys.dead(TALK), keys.user("alice")]
        try:
            for other in others:
                await bus.command("XADD", other, "1-1", "x", "y")
            await bus.command("XADD", keys.audio(TALK), "1-1", "x", "y")
            for key in mine[1:]:
                await bus.command("HSET", key, "in", "1")
            [server] = await servers(bus)
            for pattern, found in (
                (keys.audio_pattern(), mine[:1]),
                (keys.conv_pattern(), mine[1:2]),
                (keys.dead_pattern(), mine[2:3]),
                (keys.users_pattern(), mine[3:]),
                (keys.any_pattern(), mine),
                (keys.user_pattern("alice"), mine[:3]),
            ):
                seen = {key async for page in server.keys(pattern, None) for key in page}
                assert seen == {key.encode() for key in found}, pattern
            assert await conversations_of(bus, "alice") == {TALK}
            assert [one async for one in conversations(bus)] == [TALK]
            assert [one async for one in known(bus)] == [TALK]
        finally:
            for key in (*mine, *others):
                await bus.command("DEL", key)
