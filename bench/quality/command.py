"""The part `quality`: tries everything, shows it, and with `--write` puts it into the documentation."""

import sys

from bench import libraries
from bench.bare_libopus import Application, Settings
from bench.process import BenchError
from bench.quality import curve, grid, material, report
from bench.quality.grid import APPLICATIONS, DEFAULT, Trials
from bench.quality.material import Material
from bench.quality.measures import library
from bench.quality.trial import Outcome, run
from tapedeck.errors import AudioFileError

PART = "quality"
CURVES: tuple[tuple[Application, int], ...] = (("audio", 10), ("voip", 10), ("voip", 5), ("voip", 0))
"""What the picture shows; a later one lies above an earlier one."""


def main(audio: str | None, *, quick: bool, write: bool) -> str:
    """Everything as Markdown. BenchError where a package or the audio is missing."""
    for name in ("pesq", "pystoi"):
        library(name)
    try:
        source = material.load(audio)
    except AudioFileError as error:
        raise BenchError(str(error)) from error
    mains = {name: _run(source, grid.main_trials(name, quick=quick)) for name in APPLICATIONS}
    others = [(trials, _run(source, trials)) for trials in grid.other_trials(quick=quick)]
    text = _text(source, mains, others)
    if write:
        report.write(text, _picture(mains))
    return text


def _run(source: Material, trials: Trials) -> list[Outcome]:
    found = libraries.found()
    outcomes = []
    for used in found if trials.all_libraries else found[:1]:
        for settings in trials.settings:
            print(f"  {trials.heading}: {_named(settings)}, {used}", file=sys.stderr, flush=True)
            outcomes.append(run(source, settings, used, trials.voices))
    return outcomes


def _text(
    source: Material, mains: dict[Application, list[Outcome]], others: list[tuple[Trials, list[Outcome]]]
) -> str:
    used = libraries.found()[0]
    parts = [
        f"{source.seconds:.0f} s of speech ({source.name}), {used}; costs are CPU time of one core on the machine that wrote this."
    ]
    for name, outcomes in mains.items():
        parts += [
            f"### 16 kHz mono, `{name}`: PESQ by kbit/s and complexity",
            report.summary(outcomes, lambda one: one.like.pesq, 2),
            report.knee(outcomes),
            "What a step in complexity gives and costs, averaged over the bitrates:",
            report.steps(outcomes),
            f"<details><summary>Every measure, {name}</summary>",
            report.full(outcomes),
            "</details>",
        ]
    for trials, outcomes in others:
        parts += [f"### {trials.heading}", report.full(outcomes)]
    return "\n\n".join(parts)


def _picture(mains: dict[Application, list[Outcome]]) -> str:
    curves = {
        f"{name}, complexity {complexity}": [
            (one.settings.bitrate / 1000, one.like.pesq)
            for one in mains[name]
            if one.settings.complexity == complexity
        ]
        for name, complexity in CURVES
    }
    return curve.draw({name: points for name, points in curves.items() if points}, DEFAULT.bitrate / 1000)


def _named(settings: Settings) -> str:
    return f"{settings.bitrate // 1000} kbit/s, complexity {settings.complexity}, {settings.application}"
