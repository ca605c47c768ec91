"""A reader beside the devices: what was acked must be in the answer, wherever it lies by now.

Owns what is asked and how an answer is judged. An answer that says that it is incomplete (`Tapedeck-Live`, `Tapedeck-Missing`, 5xx) is
no lie and counts as refused; one that looks complete and lacks an acked packet is a broken promise.
"""

import asyncio
import random
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


class Reads(msgspec.Struct):
    """What readers have seen."""

    complete: int = 0
    """Answers that held all that was acked."""
    packets: int = 0
    """… in them."""
    live: int = 0
    """… of them, how many asked for the newest audio."""
    refused: dict[str, int] = {}
    broken: list[str] = []

    def plus(self, other: "Reads") -> "Reads":
        """The sum."""
        return Reads(
            self.complete + other.complete,
            self.packets + other.packets,
            self.live + other.live,
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
    start_ms: int
    end_ms: int
    packets: range
    live: bool


def wish(uid: str, cid: str, device: Device, chance: random.Random) -> Wish | None:
    """A stretch of a recording up to what is acked now, the newest or any; None where there is not enough yet."""
    tape, progress = device.tape, device.progress
    kept = progress.acked if progress.keep == "acked" else progress.stored
    safe = tape.index_at(kept)
    if safe < 4 * EDGE:
        return None
    live = chance.random() < 0.5
    until = safe if live else chance.randrange(4 * EDGE, safe + 1)
    end_ms = tape.captured_ms(until - 1) + tape.message_ms
    start_ms = max(tape.start_ms, end_ms - WINDOW_MS)
    first = tape.due(start_ms - 1 + tape.message_ms)
    return Wish(uid, cid, start_ms, end_ms, range(first + EDGE, until - EDGE), live)


def lacking(asked: Wish, packets: Sequence[bytes], device: int) -> list[str]:
    """What is wrong with an answer that looks complete."""
    found = []
    numbers = [number_of(packet) for packet in packets]
    if foreign := [number for number in numbers if number[0] != device]:
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
    """Asks until it is cancelled."""

    def __init__(self, spec: ReaderSpec, seed: int) -> None:
        self._spec = spec
        self._chance = random.Random(seed)
        self.reads = Reads()

    async def run(self, devices: Sequence[tuple[str, str, Device]]) -> None:
        """`devices` are owners, conversations and devices; the list may grow meanwhile."""
        headers = {"Authorization": f"Bearer {self._spec.token}"}
        async with httpx.AsyncClient(
            base_url=self._spec.url, headers=headers, timeout=30, trust_env=False
        ) as http:
            while True:
                numbered = [one for one in devices if one[2].tape.numbered and not one[2].tape.plain]
                if numbered:
                    await self._ask(http, *self._chance.choice(numbered))
                await asyncio.sleep(PAUSE_S)

    async def _ask(self, http: httpx.AsyncClient, uid: str, cid: str, device: Device) -> None:
        asked = wish(uid, cid, device, self._chance)
        if asked is None:
            return
        try:
            answer = await http.get(
                f"/v1/users/{uid}/conversations/{cid}/audio",
                params={
                    "format": "ogg",
                    "fill_gaps": "false",
                    "start": f"{asked.start_ms / 1000:.3f}",
                    "end": f"{asked.end_ms / 1000:.3f}",
                },
            )
        except httpx.TransportError as error:
            self._refused(type(error).__name__)
            return
        if answer.status_code != 200 and (answer.status_code >= 500 or answer.status_code == 429):
            self._refused(str(answer.status_code))
        elif answer.headers.get("tapedeck-live") or answer.headers.get("tapedeck-missing", "0") != "0":
            self._refused("said to be incomplete")
        elif answer.status_code != 200:
            self._broken(asked, [f"{answer.status_code} {answer.text[:200]}"])
        else:
            self._judge(asked, answer.content, device.tape.device)

    def _judge(self, asked: Wish, content: bytes, device: int) -> None:
        try:
            packets = read_ogg_opus(content).packets
        except CodecError as error:
            self._broken(asked, [f"no Ogg Opus: {error}"])
            return
        if found := lacking(asked, packets, device):
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
