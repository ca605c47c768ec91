"""A pusher that is stopped while it buries what it cannot read, or stores dead letters at a second try."""

from audiobus import dead_letters
from audiobus.census import exact
from audiobus.deletions import gone

CHUNK = 48_000
"""Samples of the second that lies in the dead letters."""


async def test_it_is_buried_once(*, scene, bus, hints, bucket, stop_after, packets_of):
    async for at, device in stop_after():
        conversation = device.conversation
        [unreadable] = device.session.speech(1)
        await device.append(unreadable, b"what no build can read")
        readable = device.sent[:-50]
        await device.say(2)
        readable += device.sent[-100:]
        await bus.ask(conversation, "end")
        stopped = await scene.hint_at(conversation)
        await scene.b_takes_over(conversation)
        await scene.a_goes_on(conversation)
        steps = scene.steps(conversation)
        assert await packets_of(bucket, conversation) == readable, f"stopped after {at} of {steps}"
        assert await bus.command("HKEYS", bus.keys.dead(conversation)) == [str(unreadable.id).encode()]
        balance = await exact(bus, conversation)
        assert (balance.difference, balance.waiting, balance.dead) == (0, 0, CHUNK)
        if not stopped:
            break
    assert scene.through(conversation, at), (at, steps)
    assert {"bury", "cut", "link", "finish"} <= set(steps)
    assert scene.no_defects()


async def test_a_second_try_stores_it_once(*, scene, bus, hints, bucket, stop_after, new_worker, packets_of):
    async for at, device in stop_after():
        conversation = device.conversation
        scene.b.stop()  # nor may it find what is prepared
        buried = await device.bury(3)
        await bus.ask(conversation, "end")
        await new_worker(bucket).drain(conversation)
        assert (await exact(bus, conversation)).dead == CHUNK
        assert await dead_letters.mark(bus, conversation, buried, device.session.clock())
        stopped = await scene.hint_at(conversation)
        await scene.b_goes_on(conversation)

        async def tried(conversation=conversation) -> bool:
            return not await bus.command("EXISTS", bus.keys.dead(conversation))

        await scene.eventually(tried, "it is stored")
        await scene.a_goes_on(conversation)
        steps = scene.steps(conversation)
        assert await packets_of(bucket, conversation) == device.sent, f"stopped after {at} of {steps}"
        balance = await exact(bus, conversation)
        assert (balance.difference, balance.waiting, balance.dead) == (0, 0, 0)
        assert balance.stored == balance.received
        assert not await gone(bus, conversation)
        if not stopped:
            break
    assert scene.through(conversation, at), (at, steps)
    assert {"recut", "build", "link"} <= set(steps)
    assert scene.no_defects()
