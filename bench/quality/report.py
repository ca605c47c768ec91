"""The outcomes as Markdown, and where they go: the screen, or into `docs/quality.md` between its two markers.

Owns the tables and the rounding; the words around them are written by people, and stay.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean

from bench.process import BenchError
from bench.quality.trial import Outcome

DOCS = Path(__file__).parents[2] / "docs"
PAGE, PICTURE = DOCS / "quality.md", DOCS / "pictures" / "quality.svg"
BEGIN = "<!-- from here: written by `python -m bench --only quality --write` -->"
END = "<!-- up to here -->"

Column = tuple[str, Callable[[Outcome], str]]

_MEASURES: tuple[Column, ...] = (
    ("segmental SNR, dB", lambda one: f"{one.like.segmental_snr_db:.1f}"),
    ("spectral distance, dB", lambda one: f"{one.like.spectral_distance_db:.2f}"),
    ("PESQ", lambda one: f"{one.like.pesq:.2f}"),
    ("STOI", lambda one: f"{one.like.stoi:.3f}"),
    ("µs a frame", lambda one: f"{one.us_a_frame:.0f}"),
)
_SIZE: Column = ("kB a minute", lambda one: f"{one.bytes_a_minute / 1000:.0f}")
_BITRATE: Column = ("kbit/s", lambda one: f"{one.settings.bitrate / 1000:.0f}")
_COMPLEXITY: Column = ("complexity", lambda one: str(one.settings.complexity))


def summary(outcomes: Sequence[Outcome], of: Callable[[Outcome], float], digits: int) -> str:
    """One measure, bitrates down and complexities across."""
    complexities = sorted({one.settings.complexity for one in outcomes})
    found = {(one.settings.bitrate, one.settings.complexity): of(one) for one in outcomes}
    rows = [
        [
            f"{bitrate / 1000:.0f}",
            *(f"{found[bitrate, complexity]:.{digits}f}" for complexity in complexities),
        ]
        for bitrate in sorted({one.settings.bitrate for one in outcomes})
    ]
    return markdown(["kbit/s", *map(str, complexities)], rows)


def full(outcomes: Sequence[Outcome]) -> str:
    """Every measure of every setting that was compared; columns that say the same everywhere are left out."""
    best = {
        (one.settings.bitrate, one.library): one.us_a_frame
        for one in outcomes
        if one.settings.complexity == 10
    }

    def cost(one: Outcome) -> str:
        most = best.get((one.settings.bitrate, one.library))
        return "" if most is None else f"{one.us_a_frame / most:.2f}"

    told: list[Column] = [
        ("libopus", lambda one: ".".join(map(str, one.library.version))),
        ("application", lambda one: one.settings.application),
        _BITRATE,
        _COMPLEXITY,
        ("extra", _extra),
    ]
    columns = [column for column in told if len({column[1](one) for one in outcomes}) > 1]
    columns += _MEASURES
    if _COMPLEXITY in columns:
        columns.append(("of complexity 10", cost))
    columns.append(_SIZE)
    return markdown([name for name, _ in columns], [[cell(one) for _, cell in columns] for one in outcomes])


def knee(outcomes: Sequence[Outcome]) -> str:
    """Where PESQ over bitrate bends most: the point farthest above the straight line from the first to the last."""
    curve = sorted((one.settings.bitrate, one.like.pesq) for one in outcomes if one.settings.complexity == 10)
    (x0, y0), (x1, y1) = curve[0], curve[-1]
    above = [(y - y0) / (y1 - y0) - (x - x0) / (x1 - x0) for x, y in curve]
    x, y = curve[above.index(max(above))]
    share = (y - y0) / (y1 - y0)
    return (
        f"The knee of the curve at complexity 10 is at {x / 1000:.0f} kbit/s: PESQ {y:.2f}, which is {share:.0%} of what lies between "
        f"{x0 / 1000:.0f} and {x1 / 1000:.0f} kbit/s for {(x - x0) / (x1 - x0):.0%} of the bits."
    )


def steps(outcomes: Sequence[Outcome]) -> str:
    """What each step in complexity gives and costs, averaged over the bitrates."""
    complexities = sorted({one.settings.complexity for one in outcomes})

    def mean(complexity: int, of: Callable[[Outcome], float]) -> float:
        return fmean(of(one) for one in outcomes if one.settings.complexity == complexity)

    most = mean(complexities[-1], lambda one: one.us_a_frame)
    rows = [
        [
            str(complexity),
            f"{mean(complexity, lambda one: one.like.pesq):.3f}",
            f"{mean(complexity, lambda one: one.like.segmental_snr_db):.2f}",
            f"{mean(complexity, lambda one: one.us_a_frame):.0f}",
            f"{mean(complexity, lambda one: one.us_a_frame) / most:.2f}",
        ]
        for complexity in complexities
    ]
    return markdown(["complexity", "PESQ", "segmental SNR, dB", "µs a frame", "of complexity 10"], rows)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write(text: str, picture: str) -> None:
    """Put the tables between the page's markers, and the picture beside it. BenchError where the page has no markers."""
    page = PAGE.read_text()
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BenchError(f"{PAGE.name} has lost the markers between which the tables go")
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")
    PICTURE.write_text(picture)


def _extra(one: Outcome) -> str:
    settings = one.settings
    if settings.dtx:
        return "DTX"
    if settings.voice:
        return "told that it is speech"
    return f"FEC for {settings.fec_loss_percent} % loss" if settings.fec_loss_percent else "none"
