"""Waiting for an operation, by its plan alone: time is what the test says it is."""

import httpx
import pytest

from tapedeck import Retries
from tapedeck.errors import OperationPendingError, UnavailableError
from tapedeck.storage.caller import Caller
from tapedeck.storage.changing import wait
from tapedeck.storage.plan import Clock, Opened, Pause, Send, Take


def run_while_away(plan, answer_s: float) -> None:
    """Carries the plan out against a server that always says that it is away; the error has the seconds until it was raised, as `after_s`."""
    now_s, outcome = 0.0, None
    try:
        while True:
            step, outcome = plan.send(outcome), None
            match step:
                case Send():
                    now_s += answer_s
                    headers = {"Retry-After": "2", "Content-Type": "application/problem+json"}
                    outcome = Opened(httpx.Response(503, headers=headers), None)
                case Pause(seconds):
                    now_s += seconds
                case Clock():
                    outcome = now_s
                case Take():
                    outcome = None
    except (OperationPendingError, UnavailableError) as error:
        error.after_s = now_s
        raise


@pytest.fixture
def caller():
    return Caller("http://localhost", "t", Retries(), lambda: 1.0)


@pytest.mark.parametrize("deadline_s", [1, 20, 90, 300])
@pytest.mark.parametrize("answer_s", [0.01, 5.0])
def test_a_deadline_holds_while_the_server_is_away(caller, deadline_s, answer_s):
    with pytest.raises(OperationPendingError) as caught:
        run_while_away(wait("o-1", deadline_s=deadline_s).plan(caller), answer_s)
    # The tries of one look may be under way at the deadline: four of them, as for anything.
    assert deadline_s <= caught.value.after_s < deadline_s + 5 * answer_s + 15


def test_without_a_deadline_a_minute_is_outlasted(caller):
    with pytest.raises(UnavailableError) as caught:
        run_while_away(wait("o-1").plan(caller), 0.01)
    assert caught.value.after_s >= 60
