from listen.settlement import FINALS_LIMIT, Settlement


def test_each_final_is_asked_for_once_and_answered_once(now_ms):
    settlement = Settlement(now_ms)
    settlement.finalize(100, now_ms)
    settlement.finalize(200, now_ms)
    assert settlement.answers(0, now_ms) == []
    assert not settlement.ask(99, now_ms)
    assert settlement.ask(100, now_ms)
    assert not settlement.ask(100, now_ms)
    assert settlement.ask(200, now_ms)
    assert settlement.answers(150, now_ms) == [(100, True)]
    assert settlement.answers(150, now_ms + 15_000) == [(200, False)]
    assert settlement.answers(300, now_ms + 15_000) == []


def test_it_waits_while_a_final_has_no_answer(now_ms):
    settlement = Settlement(now_ms)
    assert not settlement.waits
    settlement.finalize(100, now_ms)
    assert settlement.waits
    settlement.answers(100, now_ms)
    assert not settlement.waits


def test_looks_come_with_growing_pauses_while_a_final_waits(now_ms):
    settlement = Settlement(now_ms)
    settlement.finalize(100, now_ms)
    settlement.ask(100, now_ms)
    looks = []
    for ms in range(0, 14_000, 100):
        if settlement.look(100, 0, now_ms + ms):
            looks.append(ms)
            settlement.looked(now_ms + ms)
    assert looks[0] == 200
    assert 10 < len(looks) < 20


def test_stored_is_refreshed_only_while_something_is_not_stored(now_ms):
    settlement = Settlement(now_ms)
    assert not settlement.look(100, 0, now_ms + 13_999)
    assert settlement.look(100, 0, now_ms + 14_000)
    assert not settlement.look(100, 100, now_ms + 60_000)
    settlement.told(now_ms + 14_000)
    assert not settlement.look(100, 0, now_ms + 15_000)


def test_a_flood_of_finals_is_answered_by_a_few(now_ms):
    settlement = Settlement(now_ms)
    for offset in range(1, 1_001):
        settlement.finalize(offset, now_ms)
    assert settlement.ask(1_000, now_ms)
    answers = settlement.answers(1_000, now_ms)
    assert len(answers) == FINALS_LIMIT
    assert answers[-1] == (1_000, True)
    settlement.finalize(2_000, now_ms)
    assert settlement.answers(1_500, now_ms + 15_000) == [(2_000, False)]


def test_who_asks_in_a_loop_has_it_asked_once_a_second_unless_more_was_written(now_ms):
    settlement = Settlement(now_ms)
    asked = []
    for ms in range(0, 3_000, 10):
        settlement.finalize(100, now_ms + ms)
        if settlement.ask(100, now_ms + ms):
            asked.append(ms)
        settlement.answers(100, now_ms + ms)  # stored meanwhile
    assert asked == [0, 1_000, 2_000]
    settlement.finalize(200, now_ms + 2_990)
    assert settlement.ask(200, now_ms + 2_990)


def test_a_final_that_was_not_asked_for_by_itself_is_looked_for_and_answered(now_ms):
    settlement = Settlement(now_ms)
    settlement.finalize(100, now_ms)
    assert settlement.ask(100, now_ms)
    settlement.finalize(100, now_ms + 10)
    assert not settlement.ask(100, now_ms + 10)
    assert settlement.look(100, 0, now_ms + 300)
    assert settlement.answers(100, now_ms + 300) == [(100, True)] * 2


def test_what_could_not_be_read_is_read_again_soon_and_not_14_s_later(now_ms):
    settlement = Settlement(now_ms)
    assert settlement.look(100, 0, now_ms + 14_000)
    settlement.failed(now_ms + 14_000)
    assert not settlement.look(100, 0, now_ms + 14_900)
    assert settlement.look(100, 0, now_ms + 15_000)
    settlement.looked(now_ms + 15_000)
    assert not settlement.look(100, 0, now_ms + 16_000)


def test_a_clock_that_was_set_back_puts_no_refresh_off(now_ms):
    settlement = Settlement(now_ms)
    assert settlement.look(100, 0, now_ms - 3_600_000)
    settlement.looked(now_ms - 3_600_000)
    assert not settlement.look(100, 0, now_ms - 3_599_000)


def test_what_was_asked_in_vain_is_asked_again(now_ms):
    settlement = Settlement(now_ms)
    settlement.finalize(100, now_ms)
    assert settlement.ask(100, now_ms)
    settlement.unasked()
    assert settlement.ask(100, now_ms)
    assert not settlement.ask(100, now_ms)
