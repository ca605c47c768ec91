from tapedeck.up.restarts import LONGEST_PAUSE_S, Restarts


def test_the_first_deaths_cost_nothing_and_later_ones_a_growing_pause():
    restarts = Restarts()
    pauses = [restarts.pause_s(0.1) for _ in range(9)]
    assert pauses[:3] == [0, 0, 0]
    assert pauses[3:] == sorted(pauses[3:])
    assert 0 < pauses[3] < pauses[-1] == LONGEST_PAUSE_S


def test_a_child_may_keep_dying_for_good():
    restarts = Restarts()
    assert [restarts.pause_s(0.1) for _ in range(3_000)][-1] == LONGEST_PAUSE_S


def test_a_child_that_lived_begins_a_new_count():
    restarts = Restarts()
    for _ in range(9):
        restarts.pause_s(0.1)
    assert restarts.pause_s(60) == 0
    assert restarts.young_deaths == 1
