"""A reader beside the devices: what was acked must be in the answer, wherever it lies by now.

Owns what is asked and how an answer is judged. An answer that says that it is incomplete (`Tapedeck-Live`, `Tapedeck-Missing`, 5xx) is
no lie and counts as refused; one that looks complete and lacks an acked packet is a broken promise. Once nothing strikes any more, every
recording must be answered whole, in bounded time.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import httpx
import msgspec

from audiocodec import read_ogg_opus
from audiocodec.errors import CodecError
from tapedeck_testing.faults.device import Device
from tapedeck_testing.faults.numbered import number_of

PAUSE_S: Final = 0.25
WINDOW_MS: Final = 12_000
EDGE: Final = 2
"""Packets at either edge of what is asked for that may be in the answer, or not: times are said in whole milliseconds."""
KEPT: Final = 20
LEAST: Final = 4 * EDGE
"""Packets: of less nothing is asked for."""
AT_REST_S: Final = 60.0
"""Between two whole answers after the last fault at most: processes come back, and pauses after failures end."""


class Reads(msgspec.Struct):
    """What readers have seen."""

    complete: int = 0
    """Answers that held all that was acked."""
    packets: int = 0
    """… in them."""
    live: int = 0
    """… of them, how many asked for the newest audio."""
    at_rest: int = 0
    """… and how many recordings were read so once nothing struck any more."""
    refused: dict[str, int] = {}
    broken: list[str] = []

    def plus(self, other: "Reads") -> "Reads":
        """The sum."""
        return Reads(
            self.complete + other.complete,
            self.packets + other.packets,
            self.live + other.live,
            self.at_rest + other.at_rest,
            dict(Counter(self.refused) + Counter(other.refused)),
            [*self.broken, *other.broken],
        )


class ReaderSpec(msgspec.Struct):
    """Where is read, and as whom."""

    url: str
    token: str
    at_once: int = 2


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for, and which packets must come."""

    uid: str
    cid: str
    device: int
    start_ms: int
    end_ms: int
    packets: range
    live: bool


def wish(uid: str, cid: str, device: Device, chance: random.Random) -> Wish | None:
    """A stretch of a recording up to what is acked now, the newest or any; None where there is not enough yet."""
    safe = _safe(device)
    if safe < LEAST:
        return None
    live = chance.random() < 0.5
    return _wish(uid, cid, device, safe if live else chance.randrange(LEAST, safe + 1), live=live)


def newest(uid: str, cid: str, device: Device) -> Wish | None:
    """The last stretch of a recording, up to what is acked now; None where there is not enough."""
    safe = _safe(device)
    return None if safe < LEAST else _wish(uid, cid, device, safe, live=True)


def _safe(device: Device) -> int:
    progress = device.progress
    return device.tape.index_at(progress.acked if progress.keep == "acked" else progress.stored)


def _wish(uid: str, cid: str, device: Device, until: int, *, live: bool) -> Wish:
    tape = device.tape
    end_ms = tape.captured_ms(until - 1) + tape.message_ms
    start_ms = max(tape.start_ms, end_ms - WINDOW_MS)
    first = tape.due(start_ms - 1 + tape.message_ms)
    return Wish(uid, cid, tape.device, start_ms, end_ms, range(first + EDGE, until - EDGE), live)


def lacking(asked: Wish, packets: Sequence[bytes]) -> list[str]:
    """What is wrong with an answer that looks complete."""
    found = []
    numbers = [number_of(packet) for packet in packets]
    if foreign := [number for number in numbers if number[0] != asked.device]:
        found.append(f"{len(foreign)} packets of others")
    indices = [index for _, index in numbers]
    if missing := sorted(set(asked.packets) - set(indices)):
        found.append(
            f"{len(missing)} of {len(asked.packets)} acked packets are missing, from {missing[0]} to {missing[-1]}"
        )
    if indices != sorted(set(indices)):
        found.append("packets come twice or out of order")
    return found


class Reader:
    """Asks until it is cancelled, and at rest once more for each recording."""

    def __init__(self, spec: ReaderSpec, seed: int) -> None:
        self._spec = spec
        self._chance = random.Random(seed)
        self.reads = Reads()

    async def run(self, devices: Sequence[tuple[str, str, Device]]) -> None:
        """`devices` are owners, conversations and devices; the list may grow meanwhile."""
        async with self._http() as http:
            while True:
                if numbered := _numbered(devices):
                    asked = wish(*self._chance.choice(numbered), self._chance)
                    if asked is not None:
                        await self._ask(http, asked)
                await asyncio.sleep(PAUSE_S)

    async def at_rest(self, devices: Sequence[tuple[str, str, Device]]) -> None:
        """Asks for the end of each recording, again where it is refused. Nothing strikes any more: who is refused for ever is wronged."""
        deadline = time.monotonic() + AT_REST_S
        async with self._http() as http:
            for asked in filter(None, (newest(*one) for one in _numbered(devices))):
                before = self.reads.complete
                while not await self._ask(http, asked):
                    if time.monotonic() > deadline:
                        self._broken(asked, ["refused still, long after the last fault"])
                        break
                    await asyncio.sleep(PAUSE_S)
                else:
                    deadline = time.monotonic() + AT_REST_S
                self.reads.at_rest += self.reads.complete - before

    def _http(self) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {self._spec.token}"}
        return httpx.AsyncClient(base_url=self._spec.url, headers=headers, timeout=30, trust_env=False)

    async def _ask(self, http: httpx.AsyncClient, asked: Wish) -> bool:
        """Asks once, and judges the answer; whether it was more than a refusal."""
        try:
            answer = await http.get(
                f"/v1/users/{asked.uid}/conversations/{asked.cid}/audio",
                params={
                    "format": "ogg",
                    "fill_gaps": "false",
                    "start": f"{asked.start_ms / 1000:.3f}",
                    "end": f"{asked.end_ms / 1000:.3f}",
                },
            )
        except httpx.TransportError as error:
            self._refused(type(error).__name__)
            return False
        if answer.status_code != 200 and (answer.status_code >= 500 or answer.status_code == 429):
            self._refused(str(answer.status_code))
            return False
        if answer.headers.get("tapedeck-live") or answer.headers.get("tapedeck-missing", "0") != "0":
            self._refused("said to be incomplete")
            return False
        if answer.status_code != 200:
            self._broken(asked, [f"{answer.status_code} {answer.text[:200]}"])
        else:
            self._judge(asked, answer.content)
        return True

    def _judge(self, asked: Wish, content: bytes) -> None:
        try:
            packets = read_ogg_opus(content).packets
        except CodecError as error:
            self._broken(asked, [f"no Ogg Opus: {error}"])
            return
        if found := lacking(asked, packets):
            self._broken(asked, found)
            return
        self.reads.complete += 1
        self.reads.packets += len(asked.packets)
        self.reads.live += asked.live

    def _refused(self, why: str) -> None:
        self.reads.refused[why] = self.reads.refused.get(why, 0) + 1

    def _broken(self, asked: Wish, found: Sequence[str]) -> None:
        if len(self.reads.broken) < KEPT:
            when = "the newest" if asked.live else "older"
            text = f"{asked.uid}/{asked.cid}, {when} audio, {asked.start_ms} to {asked.end_ms}: {'; '.join(found)}"
            self.reads.broken.append(text)


def _numbered(devices: Sequence[tuple[str, str, Device]]) -> list[tuple[str, str, Device]]:
    """Those whose packets tell who recorded them, and whose bytes are acked."""
    return [one for one in devices if one[2].tape.numbered and not one[2].tape.plain]
