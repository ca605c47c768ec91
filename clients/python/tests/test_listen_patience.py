import pytest

from tapedeck.errors import UnreachableError
from tapedeck.listen_options import ListenOptions
from tapedeck.listen_patience import Patience


def patience(**options):
    return Patience("ws://x", ListenOptions(first_pause_s=1, longest_pause_s=4, **options), 100.0)


def test_pauses_grow_up_to_the_longest_and_begin_anew_when_audio_went_through():
    one = patience()
    first, *pauses = [one.pause_s(None, 100, 1.0) for _ in range(5)]
    assert 0 <= first <= 1
    assert pauses == sorted(pauses)
    assert (pauses[-1], one.reconnects) == (4, 5)
    one.calm()
    assert 0 <= one.pause_s(None, 100, 1.0) <= 1


def test_the_servers_own_pause_is_kept():
    assert patience().pause_s(7.5, 100, 0.5) == 7.5


def test_it_gives_up_when_no_socket_was_open_for_too_long():
    one = patience(patience_s=10)
    assert one.pause_s(60, 105, 1) == 5  # but tries once more at the end
    one.closed(106)
    assert 0 <= one.pause_s(None, 115.5, 1) <= 0.5
    one.failed("HTTP 503")
    with pytest.raises(UnreachableError, match=r"ws://x could not be reached for 10 s \(HTTP 503\)"):
        one.pause_s(None, 116, 1)


def test_it_gives_up_sooner_where_nobody_ever_was():
    one = patience(patience_s=60, first_patience_s=3)
    one.failed("refused", nobody_listens=True)
    one.pause_s(None, 101, 1)
    one.failed("no answer")  # later attempts do not count: the first said that nobody is there
    with pytest.raises(UnreachableError):
        one.pause_s(None, 103, 1)


def test_who_was_there_once_is_waited_for():
    one = patience(patience_s=60, first_patience_s=3)
    one.failed("refused", nobody_listens=True)
    one.opened()
    assert one.unreachable is None
    one.pause_s(None, 130, 1)


def test_it_may_wait_for_ever():
    one = patience(first_patience_s=None)
    one.failed("refused", nobody_listens=True)
    assert 0 <= one.pause_s(None, 1e9, 1) <= 1
    assert one.unreachable == one.why == "refused"
