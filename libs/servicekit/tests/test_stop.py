import asyncio

from servicekit.stop import Stop


async def test_the_time_runs_from_the_moment_it_is_asked():
    stop = Stop(5)
    assert not stop.is_set()
    assert stop.remaining_s() == 5
    stop.set()
    await stop.wait()
    first = stop.remaining_s()
    assert 4 < first <= 5
    await asyncio.sleep(0)
    stop.set()
    assert stop.remaining_s() <= first


async def test_it_never_goes_below_zero():
    stop = Stop(0)
    stop.set()
    await asyncio.sleep(0)
    assert stop.remaining_s() == 0
