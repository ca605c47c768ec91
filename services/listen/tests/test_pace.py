from listen.pace import BURST, EACH_MS, SMALL_SAMPLES, Pace


def sent(pace: Pace, samples: int, now_ms: int, count: int) -> int:
    """How many of `count` chunks go out now."""
    for index in range(count):
        if not pace.may(samples, now_ms):
            return index
        pace.went(samples)
    return count


def test_some_small_chunks_go_out_at_once_and_then_one_at_a_time(now_ms):
    pace = Pace()
    assert sent(pace, 120, now_ms, 1_000) == BURST
    assert sent(pace, 120, now_ms + EACH_MS - 1, 1) == 0
    assert sum(sent(pace, 120, now_ms + ms, 1_000) for ms in range(0, 60_001, 50)) == 60_000 // EACH_MS
    assert sent(pace, 120, now_ms + 10**7, 1_000) == BURST


def test_whole_chunks_never_wait(now_ms):
    pace = Pace()
    assert sent(pace, 0, now_ms, 1_000) == BURST
    assert sent(pace, SMALL_SAMPLES, now_ms, 1_000) == 1_000
    assert sent(pace, 0, now_ms, 1) == 0


def test_a_clock_that_goes_back_gives_nothing(now_ms):
    pace = Pace()
    sent(pace, 0, now_ms, 1_000)
    assert sent(pace, 0, now_ms - 10_000, 1_000) == 0


def test_a_mark_before_every_packet_costs_redis_ten_commands_a_second_and_loses_nothing(desk, now_ms):
    table = desk(codec="opus", pre_skip=120)
    for number in range(300):
        table.say(type="mark", at_ms=now_ms - 10**9 + 60 * number)
        table.send(b"\x80")
    assert len(table.entries) == BURST
    table.wait(1_000)
    assert len(table.entries) == BURST + 1_000 // EACH_MS
    table.wait(30_000)
    assert table.acked == 300
