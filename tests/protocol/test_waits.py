"""The rules that take their time. They are waited for beside the other tests (`tapedeck_testing.protocol.waits`); these come last."""

import pytest

from tapedeck_testing.protocol.waits import LONG, PING

long = pytest.mark.skipif(not LONG, reason="takes over a minute: TAPEDECK_LONG_TESTS=1 or CI=true")


async def test_pings(waits):
    """ping: where nothing is said, the server pings."""
    assert await waits.outcome("ping") == 0x80 | PING


@long
async def test_silence(waits):
    """silence, ping: a socket from which nothing at all comes, not even pongs, is closed; it was pinged before."""
    frames = await waits.outcome("silence")
    assert frames.count(0x80 | PING) >= 3


@long
async def test_a_plain_device_that_never_reads(waits):
    """dialect.plain, ack.plain: it never needs to read anything; its acks do not pile up, and nobody gives it up."""
    assert await waits.outcome("never reads") >= 89


async def test_no_first_message(waits):
    """auth.first_message, code.token: within 5 seconds, else 4401."""
    assert await waits.outcome("first message") == (4401, ["unauthorized"])


async def test_finalize_that_takes_too_long(waits):
    """finalize.late: after 15 s with `"stored":false`."""
    finalized = await waits.outcome("finalize")
    assert finalized == {"type": "finalized", "offset": len(waits.pcm), "stored": False}


async def test_a_line_that_rests(waits):
    """offset.flush, ack: 2 s of silence on the line flush the encoder, and all is acked."""
    assert await waits.outcome("rest") == 16_000


async def test_plain_audio_that_is_late_for_good(waits):
    """time.plain_run: the smallest lateness over 2 s of arrivals is above 1 s: a new run, that much later."""
    first, second = await waits.outcome("late for good")
    assert first == 0
    assert second > 1_000 + 1_000  # a second of audio, and more than a second of nothing


async def test_a_stall_with_a_burst_after_it(waits):
    """time.burst: it is no gap."""
    assert len(await waits.outcome("stall and burst")) == 1


async def test_stored_is_refreshed(waits):
    """ack.stored: at least every 15 s, though nothing new is sent."""
    ack = await waits.outcome("refreshed")
    assert (ack["offset"], ack["stored"]) == (len(waits.pcm), 0)


async def test_redis_is_away(waits):
    """pressure.away, status, code.again: `buffering`, and after 30 s 1013; what was not acked is the client's to resend."""
    found = await waits.outcome("redis away")
    assert found["code"] == 1013
    assert found["texts"][0] == {"type": "status", "state": "buffering"}
    assert found["texts"][-1]["code"] == "unavailable"
    assert found["texts"][-1]["retry_after_ms"] > 0
    assert found["resumed"]["session"] == found["session"]
    assert found["resumed"]["resume_offset"] >= found["acked"]
