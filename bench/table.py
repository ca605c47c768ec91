"""The figures as a Markdown table, which is also what a terminal shows. Owns the rounding for people."""

from collections.abc import Sequence
from statistics import median

from bench.figure import Figure

HEADER = ("figure", "unit", "ours", "baseline", "its value", "ratio (rounds)", "goal")


def table(figures: Sequence[Figure]) -> str:
    """The table, its columns aligned, with the notes under it."""
    rows = [HEADER, *(_row(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = [_line(row, widths) for row in rows]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    notes = list(dict.fromkeys(f"- {figure.part}: {note}" for figure in figures for note in figure.notes))
    return "\n".join([*lines, *(["", *notes] if notes else [])])


def _row(figure: Figure) -> tuple[str, ...]:
    goal = ""
    if figure.goal is not None:
        goal = f"{figure.goal} ({'met' if figure.met else 'MISSED'})"
    spread = ""
    if len(figure.ratios) > 1:
        spread = f" ({_number(min(figure.ratios))} to {_number(max(figure.ratios))})"
    return (
        f"{figure.part}: {figure.what}",
        f"{figure.unit}, {figure.better} is better",
        _number(figure.value),
        figure.baseline_name,
        _number(median(figure.baseline)),
        f"{_number(figure.ratio)}{spread}",
        goal,
    )


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"


def _number(value: float) -> str:
    """Three digits that mean something."""
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{0 if size >= 100 else 1 if size >= 10 else 2 if size >= 0.1 else 4}f}"
