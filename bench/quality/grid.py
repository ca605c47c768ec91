"""Which settings are tried, and under which heading they are shown. Owns the numbers."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from bench.bare_libopus import Application, Settings
from bench.quality.material import Voices

BITRATES = (12_000, 16_000, 20_000, 24_000, 28_000, 32_000, 40_000, 48_000, 64_000)
FEW_BITRATES = (16_000, 24_000, 32_000)
COMPLEXITIES = (0, 3, 5, 8, 10)
APPLICATIONS: tuple[Application, ...] = ("voip", "audio")
DEFAULT = Settings()
"""What `listen` encodes with: 24 kbit/s, complexity 10, voip."""
FEC_LOSS_PERCENT = 10


@dataclass(frozen=True, slots=True)
class Trials:
    """Settings that are compared with each other."""

    heading: str
    settings: tuple[Settings, ...]
    voices: Voices = "one"
    all_libraries: bool = False
    """With every libopus that is there, not only the one that is used."""


def main_trials(application: Application, *, quick: bool) -> Trials:
    """16 kHz mono: every bitrate at every complexity."""
    bitrates = FEW_BITRATES if quick else BITRATES
    complexities = (0, 10) if quick else COMPLEXITIES
    return Trials(
        f"16 kHz mono, `{application}`",
        tuple(
            Settings(bitrate=bitrate, complexity=complexity, application=application)
            for bitrate in bitrates
            for complexity in complexities
        ),
    )


def other_trials(*, quick: bool) -> Iterator[Trials]:
    """Other rates, two channels, other versions of libopus, and what else can be switched on."""
    bitrates: tuple[int, ...] = FEW_BITRATES[1:2] if quick else (12_000, *FEW_BITRATES, 48_000)
    for rate, name in ((8_000, "8"), (24_000, "24"), (48_000, "48")):
        yield Trials(f"{name} kHz mono", _each(replace(DEFAULT, sample_rate=rate), bitrates))
    for rate in (16_000, 48_000):
        two = _two_channels(replace(DEFAULT, sample_rate=rate, channels=2), quick=quick)
        yield Trials(f"{rate // 1000} kHz, two channels that take turns", two, "in turns")
        yield Trials(f"{rate // 1000} kHz, two channels that talk at once", two, "at once")
    few = FEW_BITRATES[1:2] if quick else FEW_BITRATES
    yield Trials(
        "Versions of libopus, 16 kHz mono",
        tuple(
            replace(DEFAULT, bitrate=bitrate, complexity=complexity)
            for bitrate in few
            for complexity in (5, 10)
        ),
        all_libraries=True,
    )
    yield Trials(
        "In-band FEC and DTX, 16 kHz mono",
        tuple(
            replace(DEFAULT, bitrate=bitrate, fec_loss_percent=loss, dtx=dtx)
            for bitrate in few
            for loss, dtx in ((0, False), (FEC_LOSS_PERCENT, False), (0, True))
        ),
    )


def _each(settings: Settings, bitrates: tuple[int, ...]) -> tuple[Settings, ...]:
    return tuple(
        replace(settings, bitrate=bitrate, application=application)
        for application in APPLICATIONS
        for bitrate in bitrates
    )


def _two_channels(settings: Settings, *, quick: bool) -> tuple[Settings, ...]:
    """Bitrates of both together; some also with libopus told that it is speech, which keeps it from its music mode for longer."""
    told = (48_000,) if quick else (48_000, 64_000)
    return tuple(
        replace(settings, bitrate=bitrate, voice=voice)
        for bitrate in (told if quick else (24_000, 32_000, 48_000, 64_000, 96_000, 128_000))
        for voice in (False, True)
        if bitrate in told or not voice
    )
