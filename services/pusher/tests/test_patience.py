"""When what could not be moved is looked at again."""

from pusher import patience
from pusher.patience import FIRST_MS, LONGEST_MS, Patience


def test_each_pause_is_twice_as_long_as_the_one_before(clock):
    waiting, pauses = Patience(), []
    for _ in range(9):
        assert not waiting.is_early("a", clock())
        waiting.stays("a", clock())
        began = clock()
        while waiting.is_early("a", clock()):
            clock.pass_s(5)
        pauses.append(clock() - began)
    assert pauses[:3] == [FIRST_MS, 2 * FIRST_MS, 4 * FIRST_MS]
    assert pauses[-2:] == [LONGEST_MS, LONGEST_MS]


def test_it_begins_anew_once_nothing_stood_in_its_way(clock):
    waiting = Patience()
    waiting.stays("a", clock())
    waiting.stays("b", clock())
    waiting.forget("a")
    waiting.forget("c")
    assert (waiting.is_early("a", clock()), waiting.is_early("b", clock())) == (False, True)


def test_a_clock_that_was_put_back_holds_nothing_up(clock):
    waiting = Patience()
    waiting.stays("a", clock())
    clock.pass_s(-3600)
    assert not waiting.is_early("a", clock())


def test_it_holds_so_many_and_no_name_that_is_gone(clock, monkeypatch):
    monkeypatch.setattr(patience, "MOST", 2)
    waiting = Patience()
    for name in ("a", "b", "c"):
        waiting.stays(name, clock())
    assert [waiting.is_early(name, clock()) for name in ("a", "b", "c")] == [True, True, False]
    waiting.keep_only(["b", "c"])
    waiting.stays("c", clock())
    assert [waiting.is_early(name, clock()) for name in ("a", "b", "c")] == [False, True, True]
