"""The live conversations of a measurement: `recorders` as a process, and what it tells. Owns its plan file."""

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.process import BenchError, Process
from bench.workbench import Workbench

BEHIND_S = 10.0
"""A fleet that sends later than this is no live load. Less only moves when batches are due: what they cost is CPU time."""
OPEN_S = 300.0
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Told:
    """What it has seen up to now."""

    appended: int
    """Chunks, of a second each."""
    behind_s: float
    """How late the latest of them was, since this was asked last."""
    backlog_left: int
    """Conversations whose backlog is not all stored."""
    drained_at: float | None
    """When the last of those was stored, by the monotonic clock, to a second: each hears of it with its next chunk."""


class LiveLoad:
    """A running one: all are open, backlogs are written. Ends with the workbench."""

    def __init__(
        self, workbench: Workbench, count: int, *, batch_seconds: float = 60.0, backlog_seconds: int = 0
    ) -> None:
        number = next(_numbers)
        self._answers = workbench.folder / f"recorders-{number}.answers"
        self._answers.touch()
        plan_file = workbench.folder / f"recorders-{number}.json"
        plan = {
            "url": workbench.redis_url,
            "uid": f"live-{number}",
            "count": count,
            "batch_seconds": batch_seconds,
            "backlog_seconds": backlog_seconds,
            "answers": str(self._answers),
        }
        plan_file.write_text(json.dumps(plan))
        self.process: Process = workbench.python(f"recorders-{number}", "bench.recorders", str(plan_file))
        self.process.until(lambda: bool(self._lines()), "open conversations", OPEN_S)

    def told(self) -> Told:
        """BenchError: it could not keep up, or chunks were refused."""
        before = len(self._lines())
        try:
            self.process.tell("count")
        except BrokenPipeError as error:
            log = self.process.log_text()
            raise BenchError(f"those who record have ended:\n{log}") from error
        self.process.until(lambda: len(self._lines()) > before, "an answer", 20)
        answer: dict[str, Any] = json.loads(self._lines()[-1])
        if answer["failed"]:
            raise BenchError(f"{answer['failed']} chunks were refused")
        if answer["behind_s"] > BEHIND_S:
            raise BenchError(f"live audio came {answer['behind_s']:.1f} s late: the machine is too busy")
        return Told(answer["appended"], answer["behind_s"], answer["backlog_left"], answer["drained_at"])

    def stop(self) -> None:
        """No more audio comes."""
        self.process.tell("stop")
        self.process.end()

    def _lines(self) -> Sequence[str]:
        return self._answers.read_text().split("\n")[:-1]
