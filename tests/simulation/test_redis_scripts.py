"""What must hold for every script, whatever its arguments: full memory stops no draining, and a repeat counts nothing twice."""

from collections import Counter

import pytest
from redis import exceptions as redis_errors

from tapedeck_testing.simulation.redis_model import RedisModel
from tapedeck_testing.simulation.redis_script_calls import ScriptCalls, project_scripts

NOW_MS = 1_700_000_000_000
TAKING = ("append", "open", "usage")
"""They bring more into Redis, or count what did: these may be refused where memory is full."""
COUNTS = ["in", "out", "dead", "deleted"]


def ask(model, command):
    try:
        return model.execute(command)
    except redis_errors.ResponseError as error:
        return error


def played(seed):
    """A server, and each call of a script just before it is executed, by name."""
    model = RedisModel(lambda: NOW_MS)
    names = {word: run.name for run in project_scripts() for word in (run.source, run.digest)}
    for run in project_scripts():
        model.execute(["SCRIPT", "LOAD", run.source])
    for command in ScriptCalls(seed, lambda command: ask(model, command)).draw(350):
        if command[0] in ("EVAL", "EVALSHA"):
            yield model, names[command[1]], command
        elif command[0] not in ("CONFIG", "SCRIPT"):
            ask(model, command)


@pytest.mark.parametrize("seed", range(3, 15))
def test_full_memory_stops_no_script_of_the_draining_side(seed):
    refused = Counter()
    for model, name, command in played(seed):
        model.maxmemory = 1
        if isinstance(ask(model, command), redis_errors.OutOfMemoryError):
            refused[name] += 1
        # So that there is something to drain, what was refused is let in.
        model.maxmemory = 0
        if name in TAKING:
            ask(model, command)
    assert {*refused} <= {*TAKING}
    assert refused


@pytest.mark.parametrize("seed", range(3, 15))
def test_a_script_whose_reply_was_lost_counts_no_audio_twice_when_it_is_run_again(seed):
    counted = 0
    for model, name, command in played(seed):
        before = ask(model, ["HMGET", "conv:{x}", *COUNTS])
        ask(model, command)
        once = ask(model, ["HMGET", "conv:{x}", *COUNTS])
        ask(model, command)
        twice = ask(model, ["HMGET", "conv:{x}", *COUNTS])
        if not isinstance(once, Exception):
            assert twice == once, (name, command)
            counted += once != before
    assert counted


@pytest.mark.parametrize("seed", range(3, 15))
def test_no_script_gives_the_buffer_or_the_dead_letters_a_time_limit(seed):
    held = 0
    for model, name, command in played(seed):
        ask(model, command)
        for key in (b"audio:{x}", b"dead:{x}"):
            assert key not in model.keys.expires, (name, command)
            held += model.keys.get(key) is not None
    assert held
