from listen.channel import Channel


def test_a_channel_joins_with_its_lead_in():
    channel = Channel(skip=10)
    assert (channel.joined, channel.standing) == (False, 0)
    channel.join(-10)
    assert (channel.joined, channel.standing, channel.plays_from) == (True, -10, 0)


def test_it_goes_on_where_it_is_stored_up_to():
    channel = Channel(skip=10)
    channel.resume(70, 100)
    assert (channel.joined, channel.end, channel.plays_from) == (True, 70, 100)
    silent = Channel(skip=10)
    silent.resume(None, 100)
    assert (silent.joined, silent.awaited, silent.standing) == (False, False, 100)


def test_one_that_falls_silent_is_settled_up_to_its_end():
    channel = Channel(skip=0)
    channel.join(0)
    channel.end = 50
    channel.fall_silent()
    channel.fall_silent()
    assert (channel.joined, channel.awaited, channel.standing) == (False, False, 50)


def test_at_an_encoders_end_a_shorter_channel_goes_on_with_the_longer_one():
    long, short = Channel(skip=0), Channel(skip=0)
    for channel, end in ((long, 104), (short, 50)):
        channel.join(0)
        channel.end = end
        channel.settle(100, 104, tolerance=5)
    assert (long.end, short.end, short.plays_from) == (104, 104, 54)


def test_another_run_begins_at_0():
    channel = Channel(skip=10)
    channel.join(100)
    channel.heard_ms = channel.missed = 5
    channel.begin_run()
    assert (channel.joined, channel.awaited, channel.standing, channel.missed) == (False, True, 0, 0)
