"""The model's ways back: snapshots, a log that lost its end, replicas."""

from typing import Any

import pytest
from redis import exceptions as redis_errors

from tapedeck_testing.simulation.redis_model import RedisModel
from tapedeck_testing.simulation.redis_script_calls import ScriptCalls
from tapedeck_testing.simulation.redis_sequences import Command, Draw

NOW_MS = 1_700_000_000_000


def ask(model: RedisModel, command: Command) -> Any:
    """The reply; a refusal is as good as an answer here."""
    try:
        return model.execute(command)
    except redis_errors.ResponseError as error:
        return error


def state(model: RedisModel) -> object:
    """All there is, to be compared."""
    keys = model.snapshot().keys
    values = {}
    for key in sorted(keys.live_keys()):
        value = keys.get(key)
        if hasattr(value, "rows"):
            value = (value.rows, value.last, value.added, value.size, value.groups)
        elif hasattr(value, "order"):
            value = (value.order, value.scores)
        values[key] = value
    return values, {key: at for key, at in keys.expires.items() if key in values}


def test_goes_back_to_a_snapshot_and_on_from_there():
    model = RedisModel(lambda: NOW_MS)
    model.execute(["XADD", "s", "5-1", "a", "b"])
    kept = model.snapshot()
    model.execute(["XADD", "s", "5-2", "a", "b"])
    model.execute(["XTRIM", "s", "MINID", "=", "5-3"])
    for _ in range(2):
        model.restore(kept)
        assert model.execute(["XRANGE", "s", "-", "+"]) == [[b"5-1", [b"a", b"b"]]]
        model.execute(["XADD", "s", "6-1", "a", "b"])


@pytest.mark.parametrize("seed", range(20))
def test_any_position_of_the_log_is_the_state_that_was_there(seed):
    model = RedisModel(lambda: NOW_MS)
    states = [state(model)]
    calls = (
        ScriptCalls(seed, lambda command: ask(model, command)).draw(60)
        if seed % 2
        else Draw(seed).commands(120)
    )
    for command in calls:
        ask(model, command)
        if model.position == len(states):
            states.append(state(model))
        assert model.position == len(states) - 1
        assert state(model) == states[-1], command
    for position in sorted({len(states) - 1, len(states) // 2, min(3, len(states) - 1), 0}, reverse=True):
        model.rewind(position)
        assert model.position == position
        assert state(model) == states[position]


def test_what_a_script_did_before_it_failed_is_in_the_log():
    model = RedisModel(lambda: NOW_MS)
    with pytest.raises(Exception, match="WRONGTYPE"):
        model.execute(["EVAL", "redis.call('SET', 'k', 'v') redis.call('HLEN', 'k')", 0])
    model.rewind(model.position)
    assert model.execute(["GET", "k"]) == b"v"


def test_a_replica_follows_the_log():
    now = [NOW_MS]
    primary, replica = RedisModel(lambda: now[0]), RedisModel(lambda: now[0], name="replica")
    primary.execute(["SET", "k", "v", "PX", 50])
    primary.execute(["XADD", "s", "*", "a", "b"])
    primary.execute(["EVAL", "redis.call('SET', 'a', '1') redis.call('SET', 'b', '1')", 0])
    now[0] += 10
    for entry in primary.log.entries:
        replica.follow(entry)
    assert state(replica) == state(primary)
    assert replica.position == primary.position == 3
    now[0] += 41
    assert replica.execute(["GET", "k"]) is None


def test_does_not_go_where_the_log_does_not_reach():
    model = RedisModel(lambda: NOW_MS)
    model.execute(["SET", "k", "v"])
    model.forget_log()
    model.execute(["SET", "k", "w"])
    model.rewind(1)
    assert model.execute(["GET", "k"]) == b"v"
    for position in (0, 2):
        with pytest.raises(ValueError, match="the log holds"):
            model.rewind(position)
