"""A process full of devices: `python -m tapedeck_testing.faults.load SPEC RESULT`, told by lines on stdin: `cut SHARE`, `finalize SHARE`, `end 1`,
`count 1`. Each is answered with a number: of the devices that it reached, for `count` of those that record.

Owns its event loop, the ticking, the relay before some of its devices, and the readers beside them. Which devices there are is told; what
they have seen is written down at the end.
"""

import asyncio
import random
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from tapedeck_testing.faults.device import SILENT_S, Address, Device
from tapedeck_testing.faults.progress import Keep
from tapedeck_testing.faults.reading import Reader, ReaderSpec, Reads
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
    silent_s: float = SILENT_S
    readers: ReaderSpec | None = None


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
        self.reads = Reads()

    async def run(self) -> list[Seen]:
        """Everything, to the end."""
        spec = self._spec
        self._relay = await Relay(spec.host, spec.port).start()
        sound = speech(spec.frame_ms)
        commands = asyncio.create_task(self._obey())
        ticking = asyncio.create_task(self._tick())
        recorded: list[tuple[str, str, Device]] = []
        readers = self._readers()
        reading = [asyncio.create_task(reader.run(recorded)) for reader in readers]
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
                        silent_s=spec.silent_s,
                    )
                    self.devices.append((one, device))
                    recorded.append((one.uid, one.cid, device))
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
        for task in (*running, *reading):
            task.cancel()
        ended = await asyncio.gather(*reading, return_exceptions=True)
        await asyncio.gather(ticking, commands, *running, return_exceptions=True)
        # Devices are told to end when nothing strikes any more.
        await asyncio.gather(
            *(reader.at_rest(recorded[at :: len(readers)]) for at, reader in enumerate(readers))
        )
        for reader, end in zip(readers, ended, strict=True):
            self.reads = self.reads.plus(reader.reads)
            if not isinstance(end, asyncio.CancelledError):
                self.reads.broken.append(f"a reader ended: {end!r}")
        await self._relay.stop()
        return [_seen(one, device) for one, device in self.devices]

    def _readers(self) -> list[Reader]:
        spec = self._spec
        if spec.readers is None:
            return []
        return [Reader(spec.readers, spec.seed + number) for number in range(spec.readers.at_once)]

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
            _tell(str(self._do(word.decode(), float(share))))

    def _do(self, word: str, share: float) -> int:
        """What was told; how many devices it reached."""
        match word:
            case "cut":
                return self._cut(share)
            case "finalize":
                chosen = [device for _, device in self.devices if self._chance.random() < share]
                return sum(device.finalize() for device in chosen)
            case "end":
                for _, device in self.devices:
                    device.end(time.time())
                return len(self.devices)
            case "count":
                return sum(device.recording for _, device in self.devices)
            case _:
                raise ValueError(f"{word!r} is no command")

    def _cut(self, share: float) -> int:
        """Cuts the lines of so many of the devices, each in some way; of how many there was one."""
        hit = 0
        for one, device in self.devices:
            if self._chance.random() >= share:
                continue
            how = self._chance.choice(CUTS)
            if one.relayed and self._relay is not None:
                if device.port is not None and self._relay.spoil(RELAY_CUTS[how], device.port):
                    device.story.cuts[f"relay:{how}"] += 1
                    hit += 1
            else:
                hit += device.cut(how)
        return hit


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
    load = Load(spec)
    seen = asyncio.run(load.run())
    Path(sys.argv[2]).write_bytes(msgspec.json.encode((seen, load.reads)))


if __name__ == "__main__":
    main()
