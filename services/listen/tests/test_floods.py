"""When those that flood go on: one at a time, all alike, and the others have their share of the process."""

import asyncio
import heapq
from collections import Counter
from collections.abc import Callable
from itertools import count

import pytest

from listen.floods import CROWD_REST_TIMES, REST_MOST_S, REST_TIMES, Floods

WORK_S = 0.0022


class Loop:
    """A clock that only its timers move, and the work that they cause."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    def call_later(self, wait_s: float, callback: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (self.now_s + wait_s, next(self._numbers), callback))

    @property
    def timers(self) -> int:
        return len(self._timers)

    def turn(self) -> bool:
        """One more timer; False where there is none."""
        if not self._timers:
            return False
        due_s, _, callback = heapq.heappop(self._timers)
        self.now_s = max(self.now_s, due_s)
        callback()
        return True


class Socket:
    """Rests, and then works for as long as it may."""

    def __init__(self, *, over: bool = False) -> None:
        self.turns = 0
        self.over = over

    def rested(self) -> bool:
        if not self.over:
            self.turns += 1
        return not self.over


@pytest.fixture
def loop(monkeypatch) -> Loop:
    made = Loop()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: made)
    return made


def share(loop: Loop, sockets: list[Socket], turns: int) -> float:
    """Of the process's time, what the work of these took who flood all the while."""
    floods = Floods()
    worked_s = 0.0
    for socket in sockets:
        floods.begin(socket, WORK_S)
    for _ in range(turns):
        before = [socket.turns for socket in sockets]
        assert loop.turn()
        on = [socket for socket, seen in zip(sockets, before, strict=True) if socket.turns > seen]
        assert len(on) == 1
        loop.now_s += WORK_S
        worked_s += WORK_S
        floods.begin(on[0], WORK_S)
        assert loop.timers == 1
    return worked_s / loop.now_s


@pytest.mark.parametrize(
    ("sockets", "expected"),
    [(1, 1 / (1 + REST_TIMES)), (2, 1 / 3), (3, 3 / 7), (4, 1 / 2), (40, 1 / 2), (400, 1 / 2)],
)
def test_alone_they_get_a_fifth_of_the_process_and_together_never_more_than_half(loop, sockets, expected):
    assert share(loop, [Socket() for _ in range(sockets)], 2_000) == pytest.approx(expected, rel=0.02)


def test_a_crowd_goes_on_one_at_a_time_and_all_alike(loop):
    crowd = [Socket() for _ in range(40)]
    share(loop, crowd, 400)
    assert {socket.turns for socket in crowd} == {10}


def test_turns_that_come_late_do_not_come_at_once(loop):
    floods = Floods()
    crowd = [Socket() for _ in range(40)]
    for socket in crowd:
        floods.begin(socket, WORK_S)
    while loop.turn():
        went_on_s = loop.now_s
        assert loop.timers <= 1
        if loop.turn():
            assert loop.now_s - went_on_s > WORK_S * (0.99 + CROWD_REST_TIMES)
        loop.now_s += 1.0  # the others keep the process busy
    assert {socket.turns for socket in crowd} == {1}


def test_those_that_are_over_cost_no_turn(loop):
    floods = Floods()
    crowd = [Socket(over=number % 10 != 9) for number in range(40)]
    for socket in crowd:
        floods.begin(socket, WORK_S)
    turns = 0
    while loop.turn():
        turns += 1
    assert turns == sum(socket.turns for socket in crowd) == 4
    assert floods.resting == 0


def test_one_that_breaks_does_not_keep_the_others_from_their_turns(loop):
    class Broken(Socket):
        def rested(self) -> bool:
            raise RuntimeError

    floods = Floods()
    last = Socket()
    floods.begin(Broken(), WORK_S)
    floods.begin(last, WORK_S)
    with pytest.raises(RuntimeError):
        loop.turn()
    assert loop.turn()
    assert last.turns == 1


def test_no_rest_is_for_long_whatever_the_work_was(loop):
    floods = Floods()
    sockets = [Socket(), Socket()]
    for socket in sockets:
        floods.begin(socket, 3.0)
    loop.turn()
    assert loop.now_s == REST_MOST_S
    loop.turn()
    assert loop.now_s == pytest.approx(2 * REST_MOST_S)


def test_each_rest_is_counted(loop):
    seen = Counter()
    floods = Floods(lambda: seen.update(["rest"]))
    socket = Socket()
    for number in range(1, 4):
        floods.begin(socket, WORK_S)
        assert seen["rest"] == number
        assert floods.resting == 1
        loop.turn()
        assert floods.resting == 0
