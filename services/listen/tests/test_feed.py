from listen.audio_format import SOURCE_SAMPLE_TICKS
from listen.encoding_job import Place, Silence
from listen.feed import Feed

T = SOURCE_SAMPLE_TICKS


def test_pcm_is_cut_at_the_sample_before_a_position():
    feed = Feed(2)
    feed.place(Place(0, 0), 0)
    feed.add(b"aabb", 0)
    feed.add(b"ccdd", 2 * T)
    assert feed.take(2 * T + 1) == (Place(0, 0), b"aabbcc")
    assert feed.take(2 * T) == ()
    assert not feed.empty
    assert feed.take(None) == (b"dd",)
    assert feed.empty


def test_messages_are_never_cut():
    feed = Feed(0)
    feed.place(Place(-3, 0), -3 * T)
    feed.add(b"one", -3 * T)
    feed.add(b"two", 5 * T)
    assert feed.take(1) == (Place(-3, 0), b"one")
    assert feed.take(5 * T + 1) == (b"two",)


def test_silence_after_silence_is_one():
    feed = Feed(1)
    feed.place(Place(0, 0), 0)
    feed.add(b"ab", 0)
    feed.silence(5, 2 * T)
    feed.silence(9, 5 * T)
    assert not feed.placed
    feed.place(Place(12, 12), 12 * T)
    feed.add(b"c", 12 * T)
    assert feed.take(None) == (Place(0, 0), b"ab", Silence(9), Place(12, 12), b"c")
