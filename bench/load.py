"""The load generator as a process that can be asked how much it has sent. Owns its plan file and its answers."""

import itertools
import json
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from bench import speech
from bench.process import Process
from bench.workbench import Workbench

FRAMES = 1_000
"""Different packets that a device sends, over and over."""
MESSAGES_A_SECOND = 50
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class RunningLoad:
    """All sockets are open, and sending."""

    process: Process
    sockets: int
    _answers: Path

    def sent(self) -> int:
        """Messages sent up to now."""
        before = len(self._lines())
        self.process.tell("count")
        self.process.until(lambda: len(self._lines()) > before, "a count", 10)
        return int(self._lines()[-1])

    def stop(self) -> None:
        """Closes all sockets."""
        self.process.tell("stop")
        time.sleep(0.2)
        self.process.end()

    def _lines(self) -> list[str]:
        return [line for line in self._answers.read_text().split("\n") if line]


def start_load(workbench: Workbench, port: int, sockets: int) -> RunningLoad:
    """Opens `sockets` sockets on a server that speaks the v1 dialect (or a sink that says `ready`)."""
    number = next(_numbers)
    plan_file, answers = workbench.folder / f"load-{number}.json", workbench.folder / f"load-{number}.answers"
    query = {"codec": "opus", "sample_rate": speech.SAMPLE_RATE}
    plan = {
        "host": "127.0.0.1",
        "port": port,
        "answers": str(answers),
        "packets": [packet.hex() for packet in speech.packets(FRAMES)],
        "sockets": [
            {
                "url": f"ws://127.0.0.1:{port}/v4/listen?"
                + urlencode({**query, "conversation_id": uuid.uuid4().hex}),
                "token": workbench.user_token(f"bench-{index}"),
            }
            for index in range(sockets)
        ],
    }
    plan_file.write_text(json.dumps(plan))
    process = workbench.python(f"load-{number}", "bench.load_generator", str(plan_file))
    process.until(answers.exists, "open sockets", 60)
    return RunningLoad(process, sockets, answers)
