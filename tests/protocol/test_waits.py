"""The rules that take their time. They are waited for beside the other tests (`tapedeck_testing.protocol.waits`); these come last.

The page's own times are looked at here, not speed. What is measured is never less than what the server waited, so that only a wrong
constant breaks the lower bounds; the upper ones leave a slow machine seconds.
"""

import statistics

import pytest

from tapedeck_testing.protocol.slow_rules import PING
from tapedeck_testing.protocol.waits import LONG

long = pytest.mark.skipif(not LONG, reason="takes over a minute: TAPEDECK_LONG_TESTS=1 or CI=true")


async def test_pings(waits):
    """ping: where nothing is said, the server pings, every 20 s."""
    outcome = await waits.outcome("pings")
    assert [first for first, _ in outcome.found] == [0x80 | PING] * 2
    one, two = (at for _, at in outcome.found)
    # Each may be read late, which would shorten the distance: both have their bounds from the beginning.
    assert 20 - 1 <= one <= 20 + 15
    assert 40 - 1 <= two <= 40 + 15  # a server that pings each 30 s would be found


@long
async def test_silence(waits):
    """silence, ping: a socket from which nothing at all comes, not even pongs, is closed after 90 s; it was pinged before."""
    outcome = await waits.outcome("silence")
    assert outcome.found.count(0x80 | PING) >= 3
    assert outcome.seconds >= 88


@long
async def test_a_plain_device_that_never_reads(waits):
    """dialect.plain, ack.plain: it never needs to read anything; its acks do not pile up, and nobody gives it up."""
    outcome = await waits.outcome("never reads")
    assert outcome.found >= 89


async def test_no_first_message(waits):
    """auth.first_message, code.token: within 5 seconds, else 4401."""
    outcome = await waits.outcome("first message")
    assert outcome.found == (4401, ["unauthorized"])
    assert 4.5 <= outcome.seconds < 30


async def test_finalize_that_takes_too_long(waits):
    """finalize.late: after 15 s with `"stored":false`."""
    outcome = await waits.outcome("finalize")
    assert outcome.found == {"type": "finalized", "offset": len(waits.pcm), "stored": False}
    assert outcome.seconds >= 14


async def test_a_line_that_rests(waits):
    """offset.flush, ack: 2 s of silence on the line flush the encoder, and all is acked."""
    outcome = await waits.outcome("rest")
    assert outcome.found == 16_000
    assert 1.8 <= outcome.seconds < 20


@pytest.mark.parametrize("layout", ["acks", "acks of two channels"])
async def test_acks_in_real_time(waits, layout):
    """ack: within 1.5 s of the audio, counted from the oldest of what it covers; half of them, as a machine may have other work."""
    outcome = await waits.outcome(layout)
    assert len(outcome.found) >= 10
    assert statistics.median(outcome.found) <= 1.5
    assert max(outcome.found) < 15


async def test_plain_audio_that_is_late_for_good(waits):
    """time.plain_run: the smallest lateness over 2 s of arrivals is above 1 s: a new run, that much later."""
    (first, second), should = (await waits.outcome("late for good")).found
    assert first == 0
    assert should >= 4_000  # a second of audio, and three of nothing
    assert abs(second - should) < 1_000  # messages may be read late


async def test_a_stall_with_a_burst_after_it(waits):
    """time.burst: it is no gap."""
    outcome = await waits.outcome("stall and burst")
    assert len(outcome.found) == 1


async def test_stored_is_refreshed(waits):
    """ack.stored: at least every 15 s, though nothing new is sent: what was stored meanwhile is told."""
    outcome = await waits.outcome("refreshed")
    assert (outcome.found["offset"], outcome.found["stored"]) == (len(waits.pcm), len(waits.pcm))
    assert outcome.seconds < 2 * 15


async def test_redis_is_away(waits):
    """pressure.away, status, code.again: `buffering`, and after 30 s 1013; what was not acked is the client's to resend."""
    outcome = await waits.outcome("redis away")
    found = outcome.found
    assert found["code"] == 1013
    assert 29 <= outcome.seconds < 60
    assert found["texts"][0] == {"type": "status", "state": "buffering"}
    assert found["texts"][-1]["code"] == "unavailable"
    assert found["texts"][-1]["retry_after_ms"] > 0
    assert found["resumed"]["session"] == found["session"]
    assert found["resumed"]["resume_offset"] >= found["acked"]
