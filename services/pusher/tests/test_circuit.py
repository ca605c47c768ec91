"""When a store counts as away, who tries it, and when it is back."""

import itertools
import random

import pytest

from pusher.circuit import (
    BOOKED_EVERY_MS,
    LONGEST_WAIT_MS,
    OPENS_AFTER,
    PATIENT_MS,
    PAUSED_PROBE_EVERY_MS,
    PAUSES_AFTER,
    PROBE_ALONE_MS,
    PROBE_EVERY_MS,
    PROBES_AT_ONCE,
    QUIET_MS,
    ROW_MS,
    Circuit,
    Phase,
)

NOW = 1_700_000_000_000


@pytest.fixture
def circuit():
    return Circuit(random.Random(1))


def fail(circuit, now_ms=NOW, *, times=1, operators=False, began_ms=None):
    for _ in range(times):
        circuit.failed(now_ms if began_ms is None else began_ms, now_ms, "away", operators=operators)


def test_failures_in_a_row_open_it_and_the_first_success_closes_it(circuit):
    fail(circuit, times=OPENS_AFTER - 1)
    assert circuit.closed
    fail(circuit)
    assert (circuit.phase, circuit.why) == (Phase.OPEN, "away")
    assert circuit.worked(NOW + 1)
    assert (circuit.phase, circuit.why) == (Phase.CLOSED, "")
    assert not circuit.worked(NOW + 1)


def test_it_counts_how_often_it_opened(circuit):
    for number in range(3):
        assert circuit.opened == number
        fail(circuit, times=3 * OPENS_AFTER)
        fail(circuit, operators=True)
        circuit.worked(NOW)


def test_a_success_between_two_failures_begins_the_row_anew(circuit):
    for second in range(100):
        fail(circuit, NOW + 1000 * second, times=OPENS_AFTER - 1)
        circuit.worked(NOW + 1000 * second + 500)
    assert circuit.closed


def test_failures_that_lie_far_apart_are_no_row(circuit):
    for number in range(100):
        fail(circuit, NOW + number * (ROW_MS + 1), operators=number % 2 == 0)
    assert circuit.closed
    for number in range(OPENS_AFTER):
        fail(circuit, NOW + 10**9 + number * (ROW_MS - 1))
    assert not circuit.closed
    assert circuit.away_ms(NOW + 10**9 + ROW_MS * OPENS_AFTER) == ROW_MS * OPENS_AFTER


def test_one_refusal_may_be_about_one_object_two_are_the_operators(circuit):
    fail(circuit, operators=True)
    assert circuit.closed
    circuit.worked(NOW)
    fail(circuit, times=PAUSES_AFTER, operators=True)
    assert circuit.phase is Phase.PAUSED
    # What fails last says which of the two it is.
    fail(circuit, NOW + 10)
    assert circuit.phase is Phase.OPEN
    fail(circuit, NOW + 20, operators=True)
    assert circuit.phase is Phase.PAUSED


def test_where_others_are_stored_one_conversations_failures_say_nothing_of_the_store(circuit):
    circuit.worked(NOW, "good")
    for second in range(1, 60):
        circuit.failed(NOW, NOW + 1000 * second, "403", operators=True, whose="bad")
        circuit.failed(NOW, NOW + 1000 * second, "away", operators=False, whose="bad")
    assert circuit.closed


def test_two_conversations_or_the_store_itself_open_it_at_once(circuit):
    for whose, phase in ((["one", "other"], Phase.PAUSED), ([None, None], Phase.PAUSED)):
        circuit.worked(NOW, "good")
        for one in whose:
            assert circuit.closed
            circuit.failed(NOW, NOW + 1, "403", operators=True, whose=one)
        assert circuit.phase is phase
    circuit.worked(NOW, "good")
    for number in range(OPENS_AFTER):
        assert circuit.closed
        circuit.failed(NOW, NOW + 1, "away", operators=False, whose=f"c{number % 2}")
    assert circuit.phase is Phase.OPEN


def test_who_failed_while_others_were_stored_counts_no_more_until_it_is_stored_itself(circuit):
    circuit.worked(NOW, "good")
    for second in range(1, 100):
        now_ms = NOW + 1000 * second
        for bad in ("one", "other", "third"):
            circuit.failed(now_ms, now_ms, "403", operators=True, whose=bad)
        assert circuit.closed == (second > 1), "only the first time"
        circuit.worked(now_ms + 1, "good")
    circuit.worked(now_ms + 2, "one")
    circuit.worked(now_ms + 2, "other")
    for whose in ("one", "other"):
        circuit.failed(now_ms + 3, now_ms + 3, "403", operators=True, whose=whose)
    assert circuit.phase is Phase.PAUSED


def test_one_alone_counts_where_nobody_is_stored_for_long(circuit):
    """There may be no other: then the store is what cannot be reached."""
    circuit.failed(NOW, NOW, "403", operators=True, whose="one")
    circuit.worked(NOW + 1, "other")
    later = NOW + QUIET_MS
    circuit.failed(later - 5, later - 5, "403", operators=True, whose="one")
    assert circuit.closed
    for _ in range(PAUSES_AFTER):
        circuit.failed(later + 5, later + 5, "403", operators=True, whose="one")
    assert circuit.phase is Phase.PAUSED


def test_suspects_are_bounded(circuit, monkeypatch):
    monkeypatch.setattr("pusher.circuit.MOST_SUSPECTS", 3)
    for number in range(10):
        circuit.failed(NOW + number, NOW + number, "away", operators=False, whose=f"c{number}")
        circuit.worked(NOW + number, "good")
    assert list(circuit._suspects) == ["c7", "c8", "c9"]


def test_who_failed_last_lets_others_try_first_but_not_for_ever(circuit):
    fail(circuit, times=OPENS_AFTER)
    due = next(now_ms for now_ms in range(NOW, NOW + PROBE_EVERY_MS + 1) if not circuit._too_early(now_ms))
    assert circuit.probe(due, patient=True) is None
    assert circuit.probe(due + PATIENT_MS - 1, patient=True) is None
    assert circuit.probe(due + PATIENT_MS, patient=True) is not None


def test_what_began_before_it_was_back_is_old_news(circuit):
    fail(circuit, times=OPENS_AFTER)
    circuit.worked(NOW + 10_000)
    fail(circuit, NOW + 20_000, times=40, began_ms=NOW)
    assert circuit.closed
    fail(circuit, NOW + 20_000, times=OPENS_AFTER, began_ms=NOW + 10_001)
    assert not circuit.closed


def test_it_is_away_since_the_first_failure_began(circuit):
    assert circuit.away_ms(NOW) == 0
    fail(circuit, NOW + 20_000, began_ms=NOW)
    assert circuit.away_ms(NOW + 20_000) == 0
    fail(circuit, NOW + 21_000, times=OPENS_AFTER)
    assert circuit.away_ms(NOW + 60_000) == 60_000
    circuit.worked(NOW + 60_000)
    assert circuit.away_ms(NOW + 60_000) == 0


@pytest.mark.parametrize(("operators", "every_ms"), [(False, PROBE_EVERY_MS), (True, PAUSED_PROBE_EVERY_MS)])
def test_one_try_after_another(circuit, operators, every_ms):
    fail(circuit, times=OPENS_AFTER, operators=operators)
    tries = []
    for now_ms in range(NOW, NOW + 10 * every_ms, 50):
        probe = circuit.probe(now_ms)
        if probe is not None:
            tries.append(now_ms)
            assert circuit.probe(now_ms) is None
            fail(circuit, now_ms, operators=operators)
            circuit.end(probe)
    assert all(0.7 * every_ms <= b - a <= every_ms + 50 for a, b in itertools.pairwise(tries))
    assert len(tries) >= 9


def test_a_try_that_hangs_is_not_waited_for_and_not_many_of_them_hang(circuit):
    fail(circuit, times=OPENS_AFTER)
    times = range(NOW, NOW + 600_000, 100)
    held = [(now_ms, probe) for now_ms in times if (probe := circuit.probe(now_ms)) is not None]
    assert len(held) == PROBES_AT_ONCE
    assert [b[0] - a[0] for a, b in itertools.pairwise(held)] == [PROBE_ALONE_MS] * (PROBES_AT_ONCE - 1)
    # They fail, one after the other, each after the long silence of its connection.
    for _, probe in held:
        fail(circuit, NOW + 600_000, began_ms=probe.begun_ms)
        circuit.end(probe)
    assert circuit.probe(NOW + 600_000) is None
    assert circuit.probe(NOW + 600_000 + PROBE_EVERY_MS) is not None


def test_a_try_that_never_came_to_the_store_takes_nobodys_time(circuit):
    fail(circuit, times=OPENS_AFTER)
    probe = circuit.probe(NOW + PROBE_EVERY_MS)
    assert probe is not None
    circuit.end(probe)
    assert circuit.probe(NOW + PROBE_EVERY_MS) is not None


def test_those_that_are_sent_away_come_back_one_after_another(circuit):
    fail(circuit, times=OPENS_AFTER)
    times = [circuit.come_again_ms(NOW) for _ in range(1000)]
    assert 0 < times[0] - NOW <= PROBE_EVERY_MS
    booked = [at for at in times if at - NOW < LONGEST_WAIT_MS / 2]
    assert all(b - a == BOOKED_EVERY_MS for a, b in itertools.pairwise(booked[:50]))
    assert max(times) <= NOW + LONGEST_WAIT_MS
    late = [at for at in times if at - NOW >= LONGEST_WAIT_MS / 2]
    assert len(set(late)) > 500
    # There is always one there for the next try, though nobody may have come at its time.
    assert circuit.come_again_ms(NOW + 3_600_000) == NOW + 3_600_000


def test_a_clock_that_is_put_back_stops_nothing(circuit):
    fail(circuit, times=OPENS_AFTER)
    circuit.probe(NOW + PROBE_EVERY_MS)
    earlier = NOW - 3_600_000
    assert circuit.away_ms(earlier) == 0
    assert circuit.away_ms(earlier + 60_000) == 60_000
    assert circuit.probe(earlier) is not None
    assert circuit.come_again_ms(earlier) <= earlier + LONGEST_WAIT_MS
    circuit.worked(earlier)
    fail(circuit, earlier + 5, times=OPENS_AFTER)
    assert not circuit.closed


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_somebody_tries_within_seconds(seed):
    """Random failures, tries that hang or never come to the store: no state in which nobody may try, and no hammering."""
    rng = random.Random(seed)
    circuit = Circuit(rng)
    fail(circuit, times=OPENS_AFTER)
    held: list = []
    last, tries, now_ms = NOW, 0, NOW
    while now_ms < NOW + 600_000:
        now_ms += rng.randrange(1, 300)
        if (probe := circuit.probe(now_ms)) is not None:
            tries += 1
            last = now_ms
            held.append((now_ms + rng.choice([0, 50, 1000, 20_000, 60_000]), probe))
        for until_ms, probe in list(held):
            if until_ms <= now_ms:
                if len(held) == PROBES_AT_ONCE:
                    last = now_ms
                held.remove((until_ms, probe))
                if rng.random() < 0.8:
                    fail(circuit, now_ms, operators=rng.random() < 0.3, began_ms=probe.begun_ms)
                circuit.end(probe)
        assert len(held) <= PROBES_AT_ONCE
        assert len(held) == PROBES_AT_ONCE or now_ms - last <= PAUSED_PROBE_EVERY_MS + PROBE_ALONE_MS + 1_000
    assert 600_000 / 25_000 <= tries <= 600_000 / 300
