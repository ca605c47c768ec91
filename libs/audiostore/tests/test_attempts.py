import asyncio

import pytest

from audiostore.attempts import Patience, attempts
from audiostore.errors import ChecksumError, StoreConfigurationError, TransientStoreError

HASTY = Patience(first_pause_s=0.001, longest_pause_s=0.004, begin_for_s=0.05, deadline_s=5.0)


class Line:
    """Fails so many times, then answers."""

    def __init__(self, failures, error=TransientStoreError):
        self.failures, self.error, self.calls = failures, error, 0

    async def __call__(self):
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error("away")
        return self.calls


async def test_what_is_transient_is_tried_again():
    async with attempts("put a", HASTY) as tries:
        assert await tries.read(Line(3)) == 4
        assert not tries.repeated
        assert await tries.write(Line(0)) == 1
        assert not tries.repeated
        assert await tries.write(Line(1)) == 2
        assert tries.repeated


@pytest.mark.parametrize("error", [StoreConfigurationError, ChecksumError])
async def test_everything_else_is_told_at_once(error):
    line = Line(1, error)
    async with attempts("put a", HASTY) as tries:
        with pytest.raises(error):
            await tries.write(line)
    assert line.calls == 1
    assert not tries.repeated


async def test_no_try_begins_after_its_time():
    line = Line(10_000)
    async with attempts("put a", HASTY) as tries:
        with pytest.raises(TransientStoreError, match="away"):
            await tries.read(line)
    assert 2 < line.calls < 100


async def test_what_is_away_is_given_up_before_what_is_slow():
    impatient = Patience(first_pause_s=0.001, longest_pause_s=0.002, begin_for_s=60.0, away_for_s=0.0)
    refusing = Line(1)
    async with attempts("get a", impatient) as tries:
        with pytest.raises(TransientStoreError, match="away"):
            await tries.read(refusing)
    assert refusing.calls == 1
    async with attempts("get a", impatient) as tries:
        assert await tries.read(Line(3, lambda text: TransientStoreError(text, slow=True))) == 4
    assert Patience(begin_for_s=5.0).tries_for_s(slow=False) == 5.0
    assert Patience(begin_for_s=5.0, away_for_s=9.0).tries_for_s(slow=False) == 5.0


async def test_the_deadline_ends_whatever_goes_on():
    with pytest.raises(TransientStoreError, match=r"put a: not done after 0\.05 s") as caught:
        async with attempts("put a", Patience(deadline_s=0.05)) as tries:
            await tries.read(asyncio.Event().wait)
    assert caught.value.retryable


async def test_a_time_out_of_the_call_itself_is_not_taken_for_the_deadline():
    async def late():
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        async with attempts("put a", HASTY) as tries:
            await tries.read(late)


async def test_cancelling_is_passed_on():
    async with attempts("put a", HASTY) as tries:
        call = asyncio.create_task(tries.read(asyncio.Event().wait))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


def test_tries_and_a_last_one_fit_into_the_deadline():
    usual = Patience()
    assert usual.begin_for_s + usual.longest_pause_s + 20 <= usual.deadline_s
