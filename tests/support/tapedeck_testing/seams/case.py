"""One random recording: what is said, by what device, cut and killed how. All of it follows from the case's number."""

import random
from dataclasses import dataclass
from typing import Final, Literal

from tapedeck_testing.seams.device import BANDWIDTHS, FRAMES_MS

RATES: Final = (8_000, 12_000, 16_000, 24_000, 48_000)
ODD_RATES: Final = (11_025, 22_050, 32_000, 44_100)
STARVED_BITRATE: Final = 12_000
Kind = Literal["pcm", "opus", "stereo"]


@dataclass(frozen=True, slots=True)
class Case:
    """Settings; what happens on the way is drawn from `chance` as it goes."""

    number: int
    kind: Kind
    codec: str
    sample_rate: int
    seconds: float
    chunk_ms: int
    frame_ms: float
    bitrate: int
    complexity: int
    application: str
    settings: dict[str, int]
    """Of the device's encoder at first."""
    changes: bool
    """Whether the device changes bitrate and bandwidth on the way."""
    batch_ms: int
    age_ms: int
    eventful: float
    """Chance of an event (a gap, bad bytes, a kill, a wish to store) per message."""

    @property
    def chance(self) -> random.Random:
        """The source of all that is drawn for this case."""
        return random.Random(f"seams {self.number}")

    def __str__(self) -> str:
        where = (
            f"{self.codec} {self.sample_rate} Hz {self.bitrate // 1000} kbit/s complexity {self.complexity}"
        )
        device = f" {self.application} {self.frame_ms} ms {self.settings}" if self.kind == "opus" else ""
        return f"case {self.number}: {where}{device}, batches of {self.batch_ms} ms"


def a_bandwidth(chance: random.Random, bitrate: int) -> int:
    """One that a device may ask of its encoder.

    Never more than narrow-band below 12 kbit/s, where libopus chooses no more by itself: what it makes if it is forced to is noise, and
    no two decoders agree on it to 35 dB.
    """
    names = ("auto", "NB", "MB", "WB", "SWB", "FB") if bitrate >= STARVED_BITRATE else ("auto", "NB")
    return BANDWIDTHS[chance.choice(names)]


def make_case(number: int) -> Case:
    """The case of this number."""
    chance = random.Random(f"case {number}")
    kind: Kind = chance.choices(("pcm", "opus", "stereo"), (4, 5, 1))[0]
    codec = {"opus": chance.choice(("opus", "opus_fs320"))}.get(
        kind, chance.choice(("pcm8", "pcm16", "pcm16"))
    )
    odd = kind != "opus" and chance.random() < 0.2
    settings: dict[str, int] = {"vbr": int(chance.random() < 0.8)}
    if chance.random() < 0.3:
        settings |= {"fec": 1, "loss": chance.choice((5, 20, 40))}
    if chance.random() < 0.2:
        settings["dtx"] = 1
    bitrate = chance.choice((6, 8, 12, 16, 20, 24, 24, 24, 32, 48, 64)) * 1000
    if chance.random() < 0.3:
        settings["bandwidth"] = a_bandwidth(chance, bitrate)
    batch_ms = chance.choice((8_000, 12_000, 20_000, 30_000, 60_000))
    return Case(
        number=number,
        kind=kind,
        codec=codec,
        sample_rate=chance.choice(ODD_RATES if odd else RATES),
        seconds=chance.uniform(8, 24) if batch_ms < 60_000 else chance.uniform(60, 75),
        chunk_ms=chance.choice((500, 1_000, 1_000, 1_000, 2_000)),
        frame_ms=chance.choice((*FRAMES_MS, 20.0, 20.0, 20.0, 40.0, 60.0)),
        bitrate=bitrate,
        complexity=chance.randint(0, 10),
        application=chance.choice(("voip", "voip", "audio", "restricted_lowdelay")),
        settings=settings,
        changes=chance.random() < 0.3,
        batch_ms=batch_ms,
        age_ms=chance.choice((batch_ms, 60_000, batch_ms // 2)),
        eventful=chance.choice((0.0, 0.002, 0.002, 0.01, 0.05)),
    )
