"""Names that must not be in the bucket: what is noted of them, and that somebody looks."""

import pytest

from audiobus import dead_letters, deletions
from audiobus.deletions import KEPT_MS, Noted, drop_cut, names_gone, noted, unstore, withdraw
from audiobus.script import script

NAME = "chunks/user-1/conv-1/1.000-2.000.batch.bin"


async def test_what_is_noted_is_on_due_before_and_after(bus, conversation, now_ms, monkeypatch):
    """Whoever notes it may be killed; and a pusher that looks in between takes the conversation off."""
    key = bus.keys.due(bus.keys.partition(conversation))
    ran = []

    class Watched:
        def __init__(self, name) -> None:
            self.name = name

        async def run(self, *args, **rest):
            ran.append(self.name)
            assert now_ms < await bus.command("ZSCORE", key, conversation.tag) <= now_ms + deletions.LOOK_MS
            await bus.command("ZREM", key, conversation.tag)
            return await script(self.name).run(*args, **rest)

    monkeypatch.setattr(deletions, "script", Watched)
    monkeypatch.setattr(dead_letters, "script", Watched)
    await bus.command("HSET", bus.keys.conv(conversation), "again_cut", "cut")
    for call in (
        unstore(bus, conversation, {NAME: 1}, now_ms),
        dead_letters.cut(bus, conversation, None, replaces=b"cut", gone=NAME, now_ms=now_ms),
    ):
        await bus.command("ZREM", key, conversation.tag)
        await call
        assert await bus.command("ZSCORE", key, conversation.tag) == now_ms
    assert ran == ["unstore", "recut"]


async def test_names_are_deleted_or_only_given_up(bus, conversation, now_ms):
    """What was deleted is not given up any more, and what was given up can be deleted; which of them it was stands as long as the name."""

    async def give_up(at_ms):
        await bus.command("HSET", bus.keys.conv(conversation), "cut", b"cut")
        assert await drop_cut(bus, conversation, b"cut", NAME, at_ms)

    await give_up(now_ms)
    assert await noted(bus, conversation) == {NAME: Noted(now_ms, given_up=True)}
    assert await names_gone(bus, conversation, {NAME: now_ms}, now_ms) == 0
    assert await noted(bus, conversation) == {NAME: Noted(0, given_up=True)}
    assert not (await bus.state(conversation)).gone
    await bus.command("HSET", bus.keys.conv(conversation), "out", 5_000)
    assert await unstore(bus, conversation, {NAME: 1_000}, now_ms + 1) == 1_000
    await give_up(now_ms + 2)
    assert await noted(bus, conversation, confirmed=True) == {NAME: Noted(now_ms + 2, given_up=False)}
    assert await unstore(bus, conversation, {NAME: 1_000}, now_ms + 3) == 0


async def test_names_are_withdrawn_and_nothing_was_deleted(bus, conversation, now_ms):
    await bus.command("HSET", bus.keys.conv(conversation), "out", 5_000)
    await withdraw(bus, conversation, [NAME], now_ms)
    assert await noted(bus, conversation) == {NAME: Noted(now_ms, given_up=False, withdrawn=True)}
    state = await bus.state(conversation)
    assert (state.gone, state.deleted_samples, state.stored_samples) == (True, 0, 5_000)
    assert await names_gone(bus, conversation, {NAME: now_ms}, now_ms) == 0
    assert await noted(bus, conversation) == {NAME: Noted(0, given_up=False, withdrawn=True)}
    assert not (await bus.state(conversation)).gone


async def test_letters_give_their_name_up_unless_that_was_deleted(bus, conversation, now_ms):
    for given_up in (True, False):
        await bus.command("HSET", bus.keys.conv(conversation), "again_cut", "cut")
        await dead_letters.cut(bus, conversation, None, replaces=b"cut", gone=NAME, now_ms=now_ms)
        assert await noted(bus, conversation) == {NAME: Noted(now_ms, given_up=given_up)}
        await unstore(bus, conversation, {NAME: 0}, now_ms)


async def test_what_older_versions_noted_counts_as_deleted(bus, conversation, now_ms):
    await bus.command("HSET", bus.keys.gone(conversation), NAME, now_ms, "seen to", 0)
    assert await noted(bus, conversation) == {
        NAME: Noted(now_ms, given_up=False),
        "seen to": Noted(0, given_up=False),
    }
    # And they read the times of this one.
    assert int(b"+1732147200000") == 1_732_147_200_000


async def see_to(bus, conversation, name, now_ms) -> None:
    assert await unstore(bus, conversation, {name: 0}, now_ms) == 0
    await names_gone(bus, conversation, {name: now_ms}, now_ms)


async def test_each_name_is_noted_for_a_month_of_its_own(bus, conversation, now_ms):
    """Though the key's own time limit begins anew with each that comes."""
    day = KEPT_MS // 30
    for number in range(40):
        await see_to(bus, conversation, f"{NAME}{number}", now_ms + number * day)
    kept = {f"{NAME}{number}" for number in range(10, 40)}
    assert set(await noted(bus, conversation)) == kept
    assert set(await bus.command("ZRANGE", bus.keys.gone_since(conversation), 0, -1)) == {
        name.encode() for name in kept
    }
    left_ms = await bus.command("PTTL", bus.keys.gone(conversation))
    assert 0 < await bus.command("PTTL", bus.keys.gone_since(conversation)) <= left_ms


@pytest.mark.parametrize("seen", [0, 1])
async def test_a_month_begins_when_they_are_seen_to(bus, conversation, now_ms, seen):
    """A bucket may have been away for most of the one that began when they were noted; and another of them may not be seen to yet."""
    await unstore(bus, conversation, {NAME: 0, f"{NAME}1": 0}, now_ms)
    keys = bus.keys.gone(conversation), bus.keys.gone_since(conversation)
    for names in ({NAME: now_ms}, {f"{NAME}1": now_ms})[: seen + 1]:
        for key in keys:
            await bus.command("PEXPIRE", key, 5 * 86_400_000)
        await names_gone(bus, conversation, names, now_ms + 25 * 86_400_000)
        for key in keys:
            assert await bus.command("PTTL", key) > KEPT_MS - 86_400_000


async def test_a_name_that_is_noted_again_stays_from_then_on(bus, conversation, now_ms):
    await see_to(bus, conversation, NAME, now_ms)
    later_ms = now_ms + KEPT_MS - 1
    await bus.command("HSET", bus.keys.conv(conversation), "cut", b"cut")
    assert await drop_cut(bus, conversation, b"cut", NAME, later_ms)
    # Old, and to be seen to.
    await names_gone(bus, conversation, {}, now_ms + KEPT_MS)
    assert await noted(bus, conversation) == {NAME: Noted(later_ms, given_up=False)}
    await names_gone(bus, conversation, {NAME: later_ms}, now_ms + KEPT_MS)
    await names_gone(bus, conversation, {}, now_ms + 2 * KEPT_MS - 1)
    assert await noted(bus, conversation) == {NAME: Noted(0, given_up=False)}
    await names_gone(bus, conversation, {}, now_ms + 2 * KEPT_MS)
    assert await noted(bus, conversation) == {}
    assert await bus.command("EXISTS", bus.keys.gone_since(conversation)) == 0


async def test_what_older_builds_noted_stays_for_a_month_from_when_it_is_seen(bus, conversation, now_ms):
    """They kept no time of it: as long as nothing else is seen to, the key's own limit holds."""
    old = {"deleted": "0", "given up": "+0", "withdrawn": "00", "time/5": "0"}
    await bus.command("HSET", bus.keys.gone(conversation), *(word for pair in old.items() for word in pair))
    await see_to(bus, conversation, NAME, now_ms)
    await names_gone(bus, conversation, {}, now_ms + KEPT_MS - 1)
    assert await bus.command("HLEN", bus.keys.gone(conversation)) == 5
    # An older build beside this one, which notes on and keeps no times.
    await bus.command("HSET", bus.keys.gone(conversation), "later", "0")
    await names_gone(bus, conversation, {}, now_ms + KEPT_MS - 1)
    await names_gone(bus, conversation, {}, now_ms + KEPT_MS)
    assert await noted(bus, conversation) == {"later": Noted(0, given_up=False)}
