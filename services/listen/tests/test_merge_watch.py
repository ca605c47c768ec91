"""When a socket asks whether its conversation is being merged, and what it makes of the answer."""

from listen.merge_watch import LOOK_MS, MergeWatch

OWNER = "socket"


def begun(cid: str) -> MergeWatch:
    """Since 0, as if it had heard just then."""
    watch = MergeWatch(OWNER)
    watch.begun(cid, 0)
    watch.told(None, 0)
    return watch


def test_sockets_that_came_together_do_not_look_together():
    firsts = set()
    for number in range(40):
        watch = MergeWatch(f"socket-{number}")
        watch.begun("a", 0)
        firsts.add(next(at for at in range(0, LOOK_MS + 1, 100) if watch.look(at)))
    assert len(firsts) > 25


def test_it_asks_only_where_nothing_was_heard():
    watch = MergeWatch(OWNER)
    assert watch.look(10**9) is None
    watch = begun("a")
    assert watch.look(LOOK_MS - 1) is None
    watch.told(None, LOOK_MS - 1)
    assert watch.look(2 * LOOK_MS - 2) is None
    assert watch.look(2 * LOOK_MS - 1) == "a"
    assert watch.look(2 * LOOK_MS) is None
    assert watch.look(LOOK_MS) == "a"  # the clock was set back


def test_what_it_hears_stays():
    watch = begun("a")
    watch.looked("another", "u/all")
    assert watch.target is None
    watch.told("u/all", 1)
    watch.told(None, 2)
    watch.looked("a", None)
    assert watch.target == "u/all"
    assert watch.look(10**9) is None
    watch.begun("b", 3)
    assert watch.target is None
    watch.looked("b", "u/all")
    assert watch.target == "u/all"
