"""What the Redis model costs: `PYTHONPATH=tests/support python -m tapedeck_testing.simulation.redis_speed [histories]`.

Notes the commands of simulated histories, then runs them again on fresh models and prints CPU time a command, by kind. A figure for people:
nothing depends on it.
"""

import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TypeAlias

from redis import exceptions as redis_errors

from tapedeck_testing.simulation.outcome import run
from tapedeck_testing.simulation.redis_model import RedisModel
from tapedeck_testing.simulation.redis_script_calls import project_scripts

Noted: TypeAlias = list[tuple[int, Sequence[Any]]]
"""Unix ms and the words of each command."""

ROUNDS = 5


def note(seeds: range) -> list[Noted]:
    """The commands of each history."""
    noted: list[Noted] = []
    known: list[RedisModel] = []
    execute = RedisModel.execute

    def listen(model: RedisModel, args: Sequence[Any]) -> Any:
        if not known or known[-1] is not model:
            known.append(model)
            noted.append([])
        noted[-1].append((model._now_ms(), tuple(args)))
        return execute(model, args)

    RedisModel.execute = listen  # type: ignore[method-assign, assignment] # put back at once
    try:
        for seed in seeds:
            run(seed)
    finally:
        RedisModel.execute = execute  # type: ignore[method-assign] # the same
    return noted


def replay(histories: list[Noted]) -> tuple[Counter[str], Counter[str]]:
    """CPU nanoseconds and commands, by kind."""
    names = {one.digest: one.name for one in project_scripts()}
    took: Counter[str] = Counter()
    count: Counter[str] = Counter()
    now = [0]
    for commands in histories:
        model = RedisModel(lambda: now[0])
        for now[0], args in commands:
            kind = f"script {names.get(args[1], '?')}" if args[0] == "EVALSHA" else str(args[0])
            began = time.process_time_ns()
            with suppress(redis_errors.ResponseError):
                model.execute(args)
            took[kind] += time.process_time_ns() - began
            count[kind] += 1
    return took, count


def main(histories: int) -> None:
    """Prints the best of some rounds."""
    noted = note(range(histories))
    took, count = min((replay(noted) for _ in range(ROUNDS)), key=lambda round_: round_[0].total())
    lines = [(kind, count[kind], took[kind]) for kind, _ in took.most_common()]
    for kind, times, spent in [*lines, ("all", count.total(), took.total())]:
        sys.stdout.write(f"{kind:<20} {times:>7} times {spent / times / 1000:7.1f} us\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
