"""The load generator as a process that can be asked what it has sent and heard. Owns its plan file and its answers."""

import itertools
import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

from bench import speech
from bench.devices import frame
from bench.process import BenchError, Process
from bench.unread import unread_bytes
from bench.workbench import Workbench

FRAMES = 1_000
"""Different messages that a device sends, over and over."""
MESSAGES_A_SECOND = 50
LEAST_SHARE = 0.95
"""Of the load asked for that must be sent and read: below it the machine was too busy for the round to mean anything."""
_numbers = itertools.count()

Codec = Literal["opus", "pcm16"]
Sends = Literal["paced", "flood", "nothing"]


@dataclass(frozen=True, slots=True)
class RunningLoad:
    """All sockets are open, and sending."""

    process: Process
    sockets: int
    _port: int
    _frame_bytes: float
    """On the wire, on average."""
    _answers: Path

    def sent(self) -> int:
        """Messages sent up to now. BenchError: the server takes less than it is sent, or has closed sockets."""
        answer = self._ask("count")
        if answer["gone"]:
            raise BenchError(f"the server closed {answer['gone']} of {self.sockets} sockets")
        if answer["behind"] > self.sockets // 100:
            raise BenchError(
                f"{answer['behind']} of {self.sockets} sockets are behind: the server is too slow"
            )
        return int(answer["sent"])

    def taken(self) -> float:
        """Messages that the server has read up to now: what is sent may lie in the kernel where the machine is busy."""
        return self.sent() - unread_bytes(self._port) / self._frame_bytes

    def delays_s(self) -> list[float]:
        """For each ack since the last time: seconds from sending the newest message that it covers."""
        return list(self._ask("acks")["delays_s"])

    def stop(self) -> None:
        """Closes all sockets."""
        self.process.tell("stop")
        time.sleep(0.2)  # the sockets close before their process is ended
        self.process.end()

    def _ask(self, command: str) -> dict[str, Any]:
        before = len(self._lines())
        self.process.tell(command)
        self.process.until(lambda: len(self._lines()) > before, "an answer", 20)
        return dict(json.loads(self._lines()[-1]))

    def _lines(self) -> Sequence[str]:
        # What stands behind the last line feed is not written to its end.
        return self._answers.read_text().split("\n")[:-1]


def start_load(
    workbench: Workbench, port: int, sockets: int, *, codec: Codec = "opus", sends: Sends = "paced"
) -> RunningLoad:
    """Opens `sockets` sockets on a server that speaks the v1 dialect (or a sink that says `ready`)."""
    number = next(_numbers)
    plan_file, answers = workbench.folder / f"load-{number}.json", workbench.folder / f"load-{number}.answers"
    query = {"codec": codec, "sample_rate": speech.SAMPLE_RATE}
    payloads = speech.packets(FRAMES) if codec == "opus" else speech.frames(FRAMES)
    plan = {
        "host": "127.0.0.1",
        "port": port,
        "answers": str(answers),
        "sends": sends,
        "payloads": [payload.hex() for payload in payloads],
        "clients": [
            {
                "target": "/v4/listen?" + urlencode({**query, "conversation_id": uuid.uuid4().hex}),
                "token": workbench.user_token(f"bench-{number}-{index}"),
            }
            for index in range(sockets)
        ],
    }
    plan_file.write_text(json.dumps(plan))
    process = workbench.python(f"load-{number}", "bench.load_generator", str(plan_file))
    process.until(lambda: answers.exists() and answers.read_text().endswith("\n"), "open sockets", 120)
    frame_bytes = sum(len(frame(payload)) for payload in payloads) / len(payloads)
    return RunningLoad(process, sockets, port, frame_bytes, answers)
