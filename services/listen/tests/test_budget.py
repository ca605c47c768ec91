import random

import pytest

from listen.budget import PART_OF_FREE, TAIL_BYTES, Budget

MIB = 1024 * 1024


def test_what_is_held_is_counted_and_leaves_with_its_socket():
    budget = Budget(100 * MIB)
    first, second = budget.enter(), budget.enter()
    first.weigh(5 * MIB)
    second.weigh(7 * MIB)
    first.weigh(MIB)
    assert (budget.held_bytes, budget.sockets) == (8 * MIB, 2)
    second.leave()
    assert (budget.held_bytes, budget.sockets) == (MIB, 1)
    first.leave()
    assert (budget.held_bytes, budget.sockets) == (0, 0)


def test_an_empty_process_lets_each_hold_as_much_as_a_socket_ever_may():
    assert Budget(256 * MIB).allowance_bytes > 2 * MIB
    assert Budget(16 * MIB).allowance_bytes == 2 * MIB


def test_nothing_free_nothing_allowed():
    budget = Budget(MIB)
    budget.enter().weigh(2 * MIB)
    assert budget.allowance_bytes == 0


@pytest.mark.parametrize("count", [10, 200, 5_000])
def test_however_many_flood_it_the_sum_stays_below_the_limit_and_all_get_alike(count):
    budget = Budget(256 * MIB)
    shares = [budget.enter() for _ in range(count)]
    chooser = random.Random(count)
    for _ in range(20):
        chooser.shuffle(shares)
        for share in shares:
            if share.held_bytes < min(budget.allowance_bytes, 2 * MIB):
                share.weigh(share.held_bytes + 32 * 1024)
    assert budget.held_bytes <= budget.limit_bytes + 32 * 1024
    held = [share.held_bytes for share in shares]
    assert min(held) > 0
    assert max(held) - min(held) <= max(64 * 1024, max(held) // 2)


def test_who_comes_late_into_a_full_process_gets_its_part_as_the_others_drain():
    budget = Budget(64 * MIB)
    hogs = [budget.enter() for _ in range(100)]
    for share in hogs:
        share.weigh(min(2 * MIB, budget.allowance_bytes))
    late = budget.enter()
    for _ in range(200):
        for share in [*hogs, late]:
            # Redis takes a little of each; who is below its part goes on.
            share.weigh(max(0, share.held_bytes - 16 * 1024))
            if share.held_bytes < budget.allowance_bytes:
                share.weigh(share.held_bytes + 32 * 1024)
    assert late.held_bytes > max(share.held_bytes for share in hogs) // 2
    assert late.held_bytes > budget.limit_bytes // (PART_OF_FREE + 101) // 2


def test_tails_together_take_a_quarter_at_most():
    budget = Budget(256 * MIB)
    assert budget.tail_bytes == TAIL_BYTES
    for _ in range(5_000):
        budget.enter()
    assert 0 < budget.tail_bytes * budget.sockets <= budget.limit_bytes // 4


def test_what_clients_do_not_read_takes_a_quarter_at_most_and_each_may_always_have_a_little():
    budget = Budget(256 * MIB)
    assert budget.unsent_bytes == 256 * 1024
    for _ in range(2_000):
        budget.enter()
    assert budget.unsent_bytes * budget.sockets <= budget.limit_bytes // 4
    for _ in range(20_000):
        budget.enter()
    assert budget.unsent_bytes == 16 * 1024
