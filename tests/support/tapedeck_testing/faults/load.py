"""A process full of devices: `python -m tapedeck_testing.faults.load SPEC RESULT`, told by lines on stdin: `cut SHARE`, `end 1`, `count 1`.

Owns its event loop, the ticking, and the relay before some of its devices. Which devices there are is told; what they have
seen is written down at the end.
"""

import asyncio
import random
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from tapedeck_testing.faults.device import Address, Device
from tapedeck_testing.faults.progress import Keep
from tapedeck_testing.faults.relay import Relay
from tapedeck_testing.faults.tape import Tape, speech

TICK_S: Final = 0.05
CUTS: Final = ("drop", "reset", "abandon")
RELAY_CUTS: Final = {"drop": "drop", "reset": "reset", "abandon": "deaf"}


class DeviceSpec(msgspec.Struct):
    """One device."""

    number: int
    kind: str
    uid: str
    cid: str
    token: str
    relayed: bool
    """It is behind the relay: what is on its way when it is cut is lost."""
    holes: list[tuple[float, int]] = []


class LoadSpec(msgspec.Struct):
    """One process."""

    host: str
    port: int
    seconds: float
    frame_ms: int
    keep: Keep
    seed: int
    ramp_s: float
    """Over so long the devices begin."""
    deadline_s: float
    """After so long it ends, whatever is still missing."""
    devices: list[DeviceSpec]


class Seen(msgspec.Struct):
    """What one device has seen: `progress` and `story`, in plain types."""

    number: int
    start_ms: int
    messages: int
    """So many it recorded."""
    acked: int
    furthest: int
    total: int
    sessions: list[tuple[int, int]]
    resumed: int
    superseded: int
    fell_back: int
    violations: list[str]
    connects: int
    closes: dict[str, int]
    refusals: dict[str, int]
    errors: dict[str, int]
    cuts: dict[str, int]
    told_ms: list[int]
    unannounced_1012: int
    buffering: int
    longest_wait_s: float
    plain_sessions: list[tuple[int, int]]
    outcome: str


class Load:
    """The devices of this process."""

    def __init__(self, spec: LoadSpec) -> None:
        self._spec = spec
        self._chance = random.Random(spec.seed)
        self._relay: Relay | None = None
        self.devices: list[tuple[DeviceSpec, Device]] = []

    async def run(self) -> list[Seen]:
        """Everything, to the end."""
        spec = self._spec
        self._relay = await Relay(spec.host, spec.port).start()
        sound = speech(spec.frame_ms)
        commands = asyncio.create_task(self._obey())
        ticking = asyncio.create_task(self._tick())
        running = []
        _tell("ready")  # the parent's clock of faults begins
        try:
            async with asyncio.timeout(spec.deadline_s):
                for one in spec.devices:
                    tape = Tape(
                        one.kind,
                        sound,
                        device=one.number,
                        seconds=spec.seconds,
                        start_ms=int(time.time() * 1000),
                        holes=one.holes,
                    )
                    device = Device(
                        tape,
                        conversation_id=one.cid,
                        token=one.token,
                        keep=spec.keep,
                        seed=spec.seed + one.number,
                    )
                    self.devices.append((one, device))
                    address = (
                        Address("127.0.0.1", self._relay.port)
                        if one.relayed
                        else Address(spec.host, spec.port)
                    )
                    running.append(asyncio.create_task(device.run(address)))
                    await asyncio.sleep(spec.ramp_s / len(spec.devices))
                await asyncio.gather(*running)
        except TimeoutError:
            pass  # who is still running says so in `outcome`
        ticking.cancel()
        commands.cancel()
        for task in running:
            task.cancel()
        await asyncio.gather(ticking, commands, *running, return_exceptions=True)
        await self._relay.stop()
        return [_seen(one, device) for one, device in self.devices]

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            now = time.time()
            for _, device in self.devices:
                device.tick(now)

    async def _obey(self) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            word, share = line.split()
            if word == b"cut":
                self._cut(float(share))
            elif word == b"end":
                for _, device in self.devices:
                    device.end(time.time())
            else:
                _tell(str(sum(device.recording for _, device in self.devices)))

    def _cut(self, share: float) -> None:
        """Cuts the lines of so many of the devices, each in some way."""
        for one, device in self.devices:
            if self._chance.random() >= share:
                continue
            how = self._chance.choice(CUTS)
            if one.relayed and self._relay is not None:
                if device.port is not None and self._relay.spoil(RELAY_CUTS[how], device.port):
                    device.story.cuts[f"relay:{how}"] += 1
            else:
                device.cut(how)


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _seen(one: DeviceSpec, device: Device) -> Seen:
    progress, story = device.progress, device.story
    return Seen(
        number=one.number,
        start_ms=device.tape.start_ms,
        messages=device.tape.messages,
        acked=progress.acked,
        furthest=progress.furthest,
        total=progress.total,
        sessions=progress.sessions,
        resumed=progress.resumed,
        superseded=progress.superseded,
        fell_back=progress.fell_back,
        violations=progress.violations,
        connects=story.connects,
        closes=dict(story.closes),
        refusals=dict(story.refusals),
        errors=dict(story.errors),
        cuts=dict(story.cuts),
        told_ms=story.told_ms,
        unannounced_1012=story.unannounced_1012,
        buffering=story.buffering,
        longest_wait_s=story.longest_wait_s,
        plain_sessions=story.plain_sessions,
        outcome=story.outcome,
    )


def main() -> None:
    """Runs what the spec says."""
    spec = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=LoadSpec)
    seen = asyncio.run(Load(spec).run())
    Path(sys.argv[2]).write_bytes(msgspec.json.encode(seen))


if __name__ == "__main__":
    main()
