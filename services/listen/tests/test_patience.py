from listen.patience import WITHOUT_PROGRESS_MS, Patience


def test_pauses_grow_to_a_second(now_ms):
    patience = Patience()
    patience.trying(now_ms)
    pauses = []
    for _ in range(7):
        patience.failed(now_ms)
        pauses.append(patience.again_at_ms - now_ms)
    assert pauses == [50, 100, 200, 400, 800, 1_000, 1_000]
    assert not patience.may_try(now_ms)
    assert patience.may_try(now_ms + 1_000)


def test_thirty_seconds_count_from_the_first_try_without_an_answer(now_ms):
    patience = Patience()
    assert not patience.exhausted(now_ms + 10**6)
    patience.trying(now_ms)
    patience.failed(now_ms + 20_000)
    patience.trying(now_ms + 20_000)
    assert not patience.exhausted(now_ms + 29_999)
    assert patience.exhausted(now_ms + 30_000)
    patience.worked()
    assert not patience.exhausted(now_ms + 30_000)
    assert patience.may_try(now_ms)


def test_a_clock_that_is_set_back_puts_nothing_off():
    patience = Patience()
    patience.trying(10_000_000)
    patience.failed(10_000_000)
    assert patience.may_try(6_400_000)
    patience.failed(6_400_000)
    assert not patience.exhausted(6_400_000 + WITHOUT_PROGRESS_MS - 1)
    assert patience.exhausted(6_400_000 + WITHOUT_PROGRESS_MS)
