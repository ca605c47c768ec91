"""The pace of the devices: each sends its message 50 times a second, at a phase of its own, or as fast as the server takes it.

Run as `python -m bench.load_generator PLAN` by `bench.load`; PLAN is a JSON file. Each line on standard input is a command, each
gets one line of JSON: `count`, `acks` (their delays since the last time), `stop` (which closes everything and ends).

Devices begin at phases spread over a second, so that what they make the server do once a second is spread as that of real ones.
"""

import json
import select
import sys
import time
from bisect import bisect_left
from itertools import accumulate
from pathlib import Path
from typing import Any

from bench.devices import Devices, frame

PERIOD_S = 0.020
SLOTS = 20
"""The devices send in so many groups, one after another."""
PHASES = 50
"""In periods: so long after the first of all the last device begins."""
FLOOD_BYTES = 256 * 1024
"""What a flooding device hands to the kernel at a time."""


class Load:
    """The devices and what they have sent."""

    def __init__(self, plan: dict[str, Any]) -> None:
        payloads = [bytes.fromhex(payload) for payload in plan["payloads"]]
        self._frames = [frame(payload) for payload in payloads]
        self._ends = list(accumulate(len(payload) for payload in payloads))
        """The offset after each message of one cycle."""
        clients = [(client["target"], client["token"]) for client in plan["clients"]]
        self._devices = Devices(plan["host"], plan["port"], clients)
        count = len(clients)
        self._begins = [index * PHASES // count for index in range(count)]
        """The turn, in periods, at which each device begins."""
        self._groups = [
            [(self._begins[index], self._devices.all[index]) for index in range(slot, count, SLOTS)]
            for slot in range(SLOTS)
        ]
        self._turns: list[float] = []
        """When each turn was sent, 20 a period."""
        self._delays: list[float] = []
        self._answers = Path(plan["answers"])
        self._sends: str = plan["sends"]
        self.sent = 0
        self._bulk = b"".join(self._frames)
        self._bulk = self._bulk * (FLOOD_BYTES // len(self._bulk) + 1)

    def run(self) -> None:
        """Sends until `stop`."""
        self._answer({"ready": len(self._devices.all)})
        commands = select.poll()
        commands.register(sys.stdin, select.POLLIN)
        began = time.monotonic()
        while True:
            if self._sends == "paced":
                self._turn()
            elif self._sends == "flood":
                self._flood()
            else:
                time.sleep(PERIOD_S / SLOTS)  # nothing is sent: it only reads, now and then
            self._devices.read(self._acked)
            if commands.poll(0) and not self._command(sys.stdin.readline().strip()):
                break
            if self._sends == "paced":
                pause = began + len(self._turns) * PERIOD_S / SLOTS - time.monotonic()
                if pause > 0:
                    time.sleep(pause)  # until the next turn of the pace
        self._devices.close()

    def _turn(self) -> None:
        """One group of devices sends. What is late is sent at once, so that the rate holds."""
        number = len(self._turns)
        self._turns.append(time.monotonic())
        period, frames, size = number // SLOTS, self._frames, len(self._frames)
        for begins, device in self._groups[number % SLOTS]:
            if period >= begins and not device.gone:
                device.send(frames[(period - begins) % size])
                self.sent += 1

    def _flood(self) -> None:
        for device in self._devices.all:
            if not device.gone:
                device.send(b"" if device.behind else self._bulk)
        time.sleep(0.0005)  # room for the server on the same cores

    def _acked(self, index: int) -> None:
        """From sending the newest message that an ack covers until the ack."""
        if self._sends != "paced":
            return
        cycles, rest = divmod(self._devices.all[index].acked, self._ends[-1])
        messages = cycles * len(self._ends) + (bisect_left(self._ends, rest) + 1 if rest else 0)
        period = self._begins[index] + messages - 1
        self._delays.append(time.monotonic() - self._turns[period * SLOTS + index % SLOTS])

    def _command(self, command: str) -> bool:
        """Whether to go on."""
        devices = self._devices
        if command == "count":
            self._answer({"sent": self.sent, "behind": devices.behind, "gone": devices.gone})
        elif command == "acks":
            self._answer({"delays_s": self._delays})
            self._delays = []
        else:
            return False
        return True

    def _answer(self, answer: dict[str, Any]) -> None:
        with self._answers.open("a") as file:
            file.write(f"{json.dumps(answer)}\n")


if __name__ == "__main__":
    Load(json.loads(Path(sys.argv[1]).read_text())).run()
